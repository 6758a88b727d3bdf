const names = /^(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;
const address = /^(?:tcp|udp|sctp):\/\//;

/**
 * Kubernetes gives every container variables that name the services beside it: of a service `berth`,
 * `BERTH_SERVICE_HOST` and `BERTH_PORT=tcp://10.0.0.7:5000`. They are no settings, and nobody's mistake.
 * @param name without the prefix
 */
export const isClusterLink = (name: string, value: string): boolean =>
  names.test(name) || (name === "PORT" && address.test(value));
