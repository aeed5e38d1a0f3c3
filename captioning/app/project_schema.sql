-- A photo is known by its content, a file by its path: a renamed photo keeps its work.
CREATE TABLE IF NOT EXISTS photos (
    id TEXT PRIMARY KEY,               -- of the file's content
    state TEXT NOT NULL DEFAULT 'todo',
    caption TEXT,                      -- a person's, or NULL
    person TEXT NOT NULL DEFAULT '',   -- who gave it its state
    rivals TEXT NOT NULL DEFAULT '[]', -- captions that others wrote at the same time, JSON
    best TEXT NOT NULL DEFAULT '[]',   -- [caption, score] of the model's N best, JSON
    familiar REAL,
    model TEXT,                        -- what made them
    error TEXT,                        -- why the photo can't be read, or NULL
    revision INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS photos_by_revision ON photos (revision);
CREATE TABLE IF NOT EXISTS files (
    number INTEGER PRIMARY KEY,
    path BLOB NOT NULL,                -- in its folder, as the system's bytes
    dropped INTEGER NOT NULL,          -- 1: given by the page, in a folder of the desk's own
    photo TEXT,                        -- NULL until it has been read
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,         -- nanoseconds
    present INTEGER NOT NULL DEFAULT 1,
    copy_of INTEGER,                   -- the number of another file with the same content
    revision INTEGER NOT NULL DEFAULT 0,
    UNIQUE (path, dropped)
);
CREATE INDEX IF NOT EXISTS files_by_photo ON files (photo);
CREATE INDEX IF NOT EXISTS files_by_revision ON files (revision);
CREATE TABLE IF NOT EXISTS edits (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL,
    client TEXT NOT NULL,              -- the browser that made it
    person TEXT NOT NULL,
    photo TEXT NOT NULL,
    before TEXT NOT NULL,              -- state, caption, person and rivals, JSON
    revision INTEGER NOT NULL,         -- the photo's after it
    undone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS edits_by_client ON edits (client, undone);
