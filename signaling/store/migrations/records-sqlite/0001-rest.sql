-- What the REST interface remembers, as databases of before there were versions have it too.
CREATE TABLE IF NOT EXISTS meetings (
    meeting TEXT PRIMARY KEY, room TEXT NOT NULL, state TEXT NOT NULL, firms TEXT NOT NULL,
    created INTEGER NOT NULL, started INTEGER, ended INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS meetings_by_age ON meetings (created, meeting);
CREATE TABLE IF NOT EXISTS answers (
    client TEXT NOT NULL, key TEXT NOT NULL, request BLOB NOT NULL, at INTEGER NOT NULL,
    status INTEGER, type TEXT, location TEXT, tag TEXT, body BLOB, PRIMARY KEY (client, key)) STRICT;
CREATE TABLE IF NOT EXISTS messages (
    id TEXT NOT NULL, hook TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, due INTEGER NOT NULL, PRIMARY KEY (id, hook)) STRICT;
CREATE INDEX IF NOT EXISTS messages_due ON messages (hook, state, due);
CREATE TABLE IF NOT EXISTS incidents (
    id TEXT PRIMARY KEY, group_key TEXT NOT NULL, open INTEGER NOT NULL, opened INTEGER NOT NULL,
    document TEXT NOT NULL) STRICT;
