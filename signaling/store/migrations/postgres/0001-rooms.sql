CREATE TABLE rooms (
    room TEXT PRIMARY KEY, title TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    attributes TEXT NOT NULL DEFAULT '{}');
CREATE TABLE members (
    room TEXT NOT NULL REFERENCES rooms(room) ON DELETE CASCADE,
    firm TEXT NOT NULL, "user" TEXT NOT NULL, host BOOLEAN NOT NULL DEFAULT FALSE, groups TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (room, firm, "user"));
CREATE TABLE changes (serial BIGSERIAL PRIMARY KEY, room TEXT NOT NULL);
CREATE TABLE notices (
    id BIGSERIAL PRIMARY KEY, room TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
    posted_at TIMESTAMPTZ NOT NULL DEFAULT now());
CREATE INDEX notices_of_room ON notices (room, id);

-- Whoever changes a room, by whatever program, leaves a line in `changes`. The lock lasts until the transaction is over:
-- lines become visible in the order of their numbers, so that a reader cannot pass one by.
CREATE FUNCTION note_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE newest BIGINT;
BEGIN
    PERFORM pg_advisory_xact_lock(7262517483);
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO changes (room) VALUES (OLD.room) RETURNING serial INTO newest;
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.room <> OLD.room) THEN
        INSERT INTO changes (room) VALUES (NEW.room) RETURNING serial INTO newest;
    END IF;
    DELETE FROM changes WHERE serial <= newest - 10000;
    RETURN NULL;
END $$;
CREATE TRIGGER room_noted AFTER INSERT OR UPDATE OR DELETE ON rooms FOR EACH ROW EXECUTE FUNCTION note_change();
CREATE TRIGGER member_noted AFTER INSERT OR UPDATE OR DELETE ON members FOR EACH ROW EXECUTE FUNCTION note_change();
