// When media flowed at a page, seen from outside it: the page's connections are counted as they are made, and each packet
// of sound and decoded picture leaves a mark in time.

/** Marks are this close at best, ms: browsers make their statistics anew no sooner. */
const LOOK_MS = 50;

/** Runs in the page before its own scripts. */
export function plant(lookMs) {
  window.driveConnections = [];
  window.driveMarks = { audio: [], video: [] };
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration) {
      super(configuration);
      window.driveConnections.push(this);
    }
  };
  const counts = new Map();
  const look = async () => {
    for (const [at, connection] of window.driveConnections.entries()) {
      if (connection.signalingState === "closed") continue;
      for (const report of (await connection.getStats()).values()) {
        if (report.type !== "inbound-rtp") continue;
        const key = `${at} ${report.id}`;
        const count = report.kind === "audio" ? report.packetsReceived : report.framesDecoded;
        if (count > (counts.get(key) ?? 0)) window.driveMarks[report.kind].push(Date.now());
        counts.set(key, count);
      }
    }
    setTimeout(() => void look(), lookMs);
  };
  void look();
}

export function watched(page) {
  return page.evaluateOnNewDocument(plant, LOOK_MS);
}

/** A shorter pause is nobody's, ms. */
const NOTICED_MS = 500;

/**
 * The pause of a kind that a change of network made, ms, and when it ended: one that began between `from` and `to`. Null as
 * its end: it lasts. A later one is the machine's.
 */
export async function pause(page, kind, from, to) {
  const { marks, now } = await page.evaluate((one) => ({ marks: window.driveMarks[one], now: Date.now() }), kind);
  let last = from;
  for (const mark of marks.filter((at) => at >= from)) {
    if (mark - last >= NOTICED_MS) return { ms: mark - last, end: mark };
    if (mark > to) return { ms: 0, end: from };
    last = mark;
  }
  return { ms: now - last, end: null };
}

/** Runs in the page: the addresses by which each connection goes. */
export function ways(page) {
  return page.evaluate(async () => {
    const found = [];
    for (const connection of window.driveConnections.filter(({ connectionState }) => connectionState !== "closed")) {
      const stats = await connection.getStats();
      const transport = [...stats.values()].find(({ type }) => type === "transport");
      const pair = stats.get(transport?.selectedCandidatePairId);
      const [local, remote] = [stats.get(pair?.localCandidateId), stats.get(pair?.remoteCandidateId)];
      found.push({ state: connection.connectionState, local: local?.address ?? null, remote: remote?.address ?? null, protocol: local?.protocol ?? null });
    }
    return found;
  });
}
