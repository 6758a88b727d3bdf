import { describeBlobStore } from "../blob-store.contract.ts";
import { memoryBlobStore } from "./memory-blob-store.ts";

describeBlobStore("memory", async () => memoryBlobStore());
