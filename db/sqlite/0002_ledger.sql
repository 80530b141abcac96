-- Attempts, their history, holds, the lease and finished passes.
-- Times are milliseconds since 1970 UTC; seq is the order of insertion.

CREATE TABLE artifactory_attempts (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL UNIQUE,
    domain          TEXT NOT NULL,
    environment     TEXT NOT NULL,
    app             TEXT NOT NULL,
    version         TEXT NOT NULL,
    service_name    TEXT NOT NULL,
    num_instances   INTEGER NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('submitting', 'submitted', 'unknown', 'succeeded',
                        'failed', 'refused', 'observed', 'abandoned', 'baseline')),
    deploy_id       TEXT,
    payload_sha256  TEXT,
    template_sha256 TEXT,
    suffixes_before TEXT,                         -- JSON array, NULL: the cluster was not read
    counts          INTEGER NOT NULL CHECK (counts IN (0, 1)),
    command         TEXT NOT NULL,
    token           INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    message         TEXT NOT NULL
) STRICT;

CREATE INDEX artifactory_attempts_version
    ON artifactory_attempts (domain, environment, app, version, seq);

-- One open attempt per scope. Attempts taken over from the original's table are left out: the
-- original may have left several of them.
CREATE UNIQUE INDEX artifactory_attempts_one_open
    ON artifactory_attempts (domain, environment)
    WHERE state IN ('submitting', 'submitted', 'unknown') AND command <> 'takeover';

CREATE TABLE artifactory_attempt_events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    attempt TEXT NOT NULL REFERENCES artifactory_attempts (id),
    state   TEXT NOT NULL,
    at      INTEGER NOT NULL,
    message TEXT NOT NULL,
    token   INTEGER NOT NULL
) STRICT;

CREATE INDEX artifactory_attempt_events_attempt ON artifactory_attempt_events (attempt, seq);

CREATE TABLE artifactory_holds (
    domain      TEXT NOT NULL,
    environment TEXT NOT NULL,
    app         TEXT NOT NULL,
    reason      TEXT NOT NULL,
    until       INTEGER,
    newer_than  TEXT,
    placed_by   TEXT NOT NULL,
    placed_at   INTEGER NOT NULL,
    PRIMARY KEY (domain, environment, app)
) STRICT;

CREATE TABLE artifactory_lease (
    domain      TEXT NOT NULL,
    environment TEXT NOT NULL,
    token       INTEGER NOT NULL,                 -- +1 at every acquisition
    holder      TEXT NOT NULL,
    since       INTEGER NOT NULL,
    held        INTEGER NOT NULL CHECK (held IN (0, 1)),
    PRIMARY KEY (domain, environment)
) STRICT;

CREATE TABLE artifactory_passes (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    domain       TEXT NOT NULL,
    environment  TEXT NOT NULL,
    command      TEXT NOT NULL,
    started_at   INTEGER NOT NULL,
    finished_at  INTEGER NOT NULL,
    exit_code    INTEGER NOT NULL,
    busy         INTEGER CHECK (busy IN (0, 1)),  -- NULL: coreos-deploy was not asked
    report       TEXT NOT NULL,                   -- JSON
    bad_payloads TEXT NOT NULL                    -- JSON
) STRICT;

CREATE INDEX artifactory_passes_scope ON artifactory_passes (domain, environment, seq);

-- History is never rewritten.

CREATE TRIGGER artifactory_attempts_no_delete BEFORE DELETE ON artifactory_attempts
BEGIN SELECT RAISE(ABORT, 'attempts are never deleted'); END;

-- INSERT OR REPLACE deletes without firing delete triggers unless recursive_triggers is on.
CREATE TRIGGER artifactory_attempts_no_replace BEFORE INSERT ON artifactory_attempts
WHEN EXISTS (SELECT 1 FROM artifactory_attempts WHERE id = NEW.id OR seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'attempts are never replaced'); END;

CREATE TRIGGER artifactory_attempts_fixed BEFORE UPDATE ON artifactory_attempts
WHEN NEW.seq IS NOT OLD.seq OR NEW.id IS NOT OLD.id OR NEW.app IS NOT OLD.app
    OR NEW.version IS NOT OLD.version OR NEW.domain IS NOT OLD.domain
    OR NEW.environment IS NOT OLD.environment OR NEW.created_at IS NOT OLD.created_at
BEGIN SELECT RAISE(ABORT, 'what an attempt is about never changes'); END;

CREATE TRIGGER artifactory_attempts_moves BEFORE UPDATE ON artifactory_attempts
WHEN OLD.state || ' ' || NEW.state NOT IN (
    'submitting submitted', 'submitting refused', 'submitting unknown',
    'submitted succeeded', 'submitted failed', 'submitted unknown',
    'unknown observed', 'unknown failed', 'unknown abandoned')
BEGIN SELECT RAISE(ABORT, 'not a legal move of an attempt'); END;

CREATE TRIGGER artifactory_attempt_events_no_update BEFORE UPDATE ON artifactory_attempt_events
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;

CREATE TRIGGER artifactory_attempt_events_no_delete BEFORE DELETE ON artifactory_attempt_events
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

CREATE TRIGGER artifactory_attempt_events_no_replace BEFORE INSERT ON artifactory_attempt_events
WHEN EXISTS (SELECT 1 FROM artifactory_attempt_events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'events are never replaced'); END;
