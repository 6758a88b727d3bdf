import { makeBody } from "../clients/body.ts";
import { type Image, makeImage } from "../clients/fill.ts";
import { pusherOf } from "../clients/push.ts";
import type { Started } from "../servers/server.ts";

const repository = "library/pushed";
const clients = 8;

export function makeSmallImages(count: number): readonly Image[] {
  const config = makeBody(1024);
  const layers = [makeBody(16 << 10), makeBody(16 << 10)];
  return Array.from({ length: count }, () => makeImage(config, layers));
}

/** 8 clients at once, each as docker does: every blob is asked for, streamed and ended. */
export async function pushImages(
  server: Started,
  images: readonly Image[],
  isOver: () => boolean = () => false,
): Promise<void> {
  const waiting = images.values();
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const pusher = await pusherOf(server);
      const own = `${repository}-${String(client)}`;
      for (const { blobs, manifest, digest } of waiting) {
        if (isOver()) break;
        for (const blob of blobs) if (!(await pusher.has(own, blob.digest))) await pusher.streamed(own, blob);
        await pusher.manifest(own, digest.slice("sha256:".length, 20), manifest);
      }
      pusher.close();
    }),
  );
}
