-- Signed statements with all their versions, who signaling is (fences), where meetings are, invitations that hosts ended.
CREATE TABLE meeting_firms (meeting TEXT NOT NULL, firm TEXT NOT NULL, PRIMARY KEY (meeting, firm)) STRICT;
INSERT OR IGNORE INTO meeting_firms SELECT meeting, value FROM meetings, json_each(meetings.firms);
CREATE TABLE statements (
    room TEXT NOT NULL, firm TEXT NOT NULL, serial INTEGER NOT NULL, signed BLOB NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (room, firm, serial)) STRICT;
CREATE TABLE fences (name TEXT PRIMARY KEY, term INTEGER NOT NULL) STRICT;
CREATE TABLE placements (
    meeting TEXT PRIMARY KEY, room TEXT NOT NULL, node TEXT NOT NULL, term INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE dead_invitations (hash BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT;
