// What of the network can be known before a call: is there an interface a browser would send from (contacts nobody), and does
// the meeting service answer, how fast. The way of the media is known only inside: it is shown there.

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

/** The service answers within a second; a proxy that holds connections takes some. */
const ANSWER_MS = 8_000;

/** Opens a connection to signaling, says nothing and closes it: the time it took, ms, or `null` where nothing answers. */
export async function reachService(url: string): Promise<number | null> {
  const from = performance.now();
  return new Promise((done) => {
    let socket: WebSocket;
    try {
      socket = new WebSocket(url);
    } catch {
      return done(null);
    }
    const end = (answer: number | null): void => {
      clearTimeout(timer);
      socket.onopen = socket.onerror = null;
      socket.close();
      done(answer);
    };
    const timer = setTimeout(() => end(null), ANSWER_MS);
    socket.onopen = () => end(Math.round(performance.now() - from));
    socket.onerror = () => end(null);
  });
}
