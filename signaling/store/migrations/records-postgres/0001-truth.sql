-- What signaling must not forget, beside its rooms: what the REST interface remembers, signed statements with all their
-- versions, who signaling is (fences), where meetings are, invitations that hosts ended.
CREATE TABLE meetings (
    meeting TEXT PRIMARY KEY, room TEXT NOT NULL, state TEXT NOT NULL, firms TEXT NOT NULL,
    created BIGINT NOT NULL, started BIGINT, ended BIGINT);
CREATE INDEX meetings_by_age ON meetings (created, meeting);
CREATE TABLE meeting_firms (meeting TEXT NOT NULL, firm TEXT NOT NULL, PRIMARY KEY (meeting, firm));
CREATE TABLE answers (
    client TEXT NOT NULL, key TEXT NOT NULL, request BYTEA NOT NULL, at BIGINT NOT NULL,
    status BIGINT, type TEXT, location TEXT, tag TEXT, body BYTEA, PRIMARY KEY (client, key));
CREATE TABLE messages (
    id TEXT NOT NULL, hook TEXT NOT NULL, at BIGINT NOT NULL, body BYTEA NOT NULL, state TEXT NOT NULL,
    attempts BIGINT NOT NULL, due BIGINT NOT NULL, PRIMARY KEY (id, hook));
CREATE INDEX messages_due ON messages (hook, state, due);
CREATE TABLE incidents (
    id TEXT PRIMARY KEY, group_key TEXT NOT NULL, open BIGINT NOT NULL, opened BIGINT NOT NULL, document TEXT NOT NULL);
CREATE TABLE statements (
    room TEXT NOT NULL, firm TEXT NOT NULL, serial BIGINT NOT NULL, signed BYTEA NOT NULL, at BIGINT NOT NULL,
    PRIMARY KEY (room, firm, serial));
CREATE TABLE fences (name TEXT PRIMARY KEY, term BIGINT NOT NULL);
CREATE TABLE placements (
    meeting TEXT PRIMARY KEY, room TEXT NOT NULL, node TEXT NOT NULL, term BIGINT NOT NULL, at BIGINT NOT NULL);
CREATE TABLE dead_invitations (hash BYTEA PRIMARY KEY, until BIGINT NOT NULL);
