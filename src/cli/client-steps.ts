interface Pair {
  /** As image references name it: host:port. */
  readonly registry: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** What is to be done on the server and on its clients, with the names in place. */
export const clientSteps = ({ registry, certFile, keyFile }: Pair): string => `
The certificate is ${certFile}
The key is         ${keyFile} (keep it on this machine)

Here, in berth.yaml:
  http:
    addr: 0.0.0.0:${registry.slice(registry.lastIndexOf(":") + 1)}
  tls:
    certFile: ${certFile}
    keyFile: ${keyFile}

Copy the certificate (not the key) to each client machine as berth.crt. There, as root:

docker (no restart needed):
  mkdir -p '/etc/docker/certs.d/${registry}'
  cp berth.crt '/etc/docker/certs.d/${registry}/ca.crt'

podman, buildah, skopeo:
  mkdir -p '/etc/containers/certs.d/${registry}'
  cp berth.crt '/etc/containers/certs.d/${registry}/ca.crt'

containerd, with config_path = "/etc/containerd/certs.d" in its configuration:
  mkdir -p '/etc/containerd/certs.d/${registry}'
  cp berth.crt '/etc/containerd/certs.d/${registry}/ca.crt'
  cat >'/etc/containerd/certs.d/${registry}/hosts.toml' <<'END'
server = "https://${registry}"

[host."https://${registry}"]
  ca = "/etc/containerd/certs.d/${registry}/ca.crt"
END

everything else on the machine:
  Debian, Ubuntu:  cp berth.crt /usr/local/share/ca-certificates/berth.crt && update-ca-certificates
  Fedora, RHEL:    cp berth.crt /etc/pki/ca-trust/source/anchors/berth.crt && update-ca-trust
  macOS:           security add-trusted-cert -d -k /Library/Keychains/System.keychain berth.crt

Then: docker login ${registry}
`;
