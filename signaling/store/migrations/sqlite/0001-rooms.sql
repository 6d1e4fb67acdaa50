-- Rooms and members, as directories of before there were versions have them too.
CREATE TABLE IF NOT EXISTS rooms (room TEXT PRIMARY KEY, title TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS members (
    room TEXT NOT NULL REFERENCES rooms(room) ON DELETE CASCADE,
    firm TEXT NOT NULL, user TEXT NOT NULL, host INTEGER NOT NULL, groups TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (room, firm, user)) STRICT;
