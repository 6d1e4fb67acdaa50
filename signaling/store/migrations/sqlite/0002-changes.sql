-- Whoever changes a room, by whatever program, leaves a line in `changes`: triggers write it.
ALTER TABLE rooms ADD COLUMN state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed'));
ALTER TABLE rooms ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
CREATE TABLE changes (serial INTEGER PRIMARY KEY AUTOINCREMENT, room TEXT NOT NULL) STRICT;
CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT, room TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
    posted_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))) STRICT;
CREATE INDEX notices_of_room ON notices (room, id);
CREATE TRIGGER room_made AFTER INSERT ON rooms BEGIN INSERT INTO changes (room) VALUES (NEW.room); END;
CREATE TRIGGER room_changed AFTER UPDATE ON rooms BEGIN
    INSERT INTO changes (room) VALUES (OLD.room);
    INSERT INTO changes (room) SELECT NEW.room WHERE NEW.room <> OLD.room;
END;
CREATE TRIGGER room_gone AFTER DELETE ON rooms BEGIN INSERT INTO changes (room) VALUES (OLD.room); END;
CREATE TRIGGER member_made AFTER INSERT ON members BEGIN INSERT INTO changes (room) VALUES (NEW.room); END;
CREATE TRIGGER member_changed AFTER UPDATE ON members BEGIN
    INSERT INTO changes (room) VALUES (OLD.room);
    INSERT INTO changes (room) SELECT NEW.room WHERE NEW.room <> OLD.room;
END;
CREATE TRIGGER member_gone AFTER DELETE ON members BEGIN INSERT INTO changes (room) VALUES (OLD.room); END;
CREATE TRIGGER changes_pruned AFTER INSERT ON changes BEGIN
    DELETE FROM changes WHERE serial <= NEW.serial - 10000;
END;
