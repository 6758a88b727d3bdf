/** What the directory and those who ask it both know. */
export const baseDn = "dc=example,dc=org";
export const password = "a right password";
export const inChain = "1.2.840.113556.1.4.1941";
export const personDn = (uid: string): string => `uid=${uid},ou=people,${baseDn}`;
export const groupDn = (cn: string): string => `cn=${cn},ou=groups,${baseDn}`;
