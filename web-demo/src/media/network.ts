// Is there any network interface a browser would send from? Gathers host candidates and looks; contacts nobody.

/** Host candidates appear within milliseconds; longer means there are none. */
const WAIT_MS = 2_500;

export type NetworkState = "checking" | "ok" | "none";

export async function checkNetwork(): Promise<NetworkState> {
  const connection = new RTCPeerConnection();
  try {
    const found = new Promise<NetworkState>((done) => {
      connection.onicecandidate = ({ candidate }) => {
        if (candidate === null) done("none");
        else if (candidate.candidate !== "") done("ok");
      };
      setTimeout(() => done("none"), WAIT_MS);
    });
    connection.createDataChannel("check");
    await connection.setLocalDescription(await connection.createOffer());
    return await found;
  } finally {
    connection.close();
  }
}
