-- Attempts, their history, holds, the lease and finished passes.
-- Times are milliseconds since 1970 UTC, but expires_at; seq is the order of insertion. Names are
-- VARBINARY: no collation of either server compares byte by byte and minds trailing spaces.

CREATE TABLE IF NOT EXISTS artifactory_attempts (
    seq             BIGINT NOT NULL AUTO_INCREMENT,
    id              VARBINARY(36) NOT NULL,
    domain          VARBINARY(128) NOT NULL,
    environment     VARBINARY(128) NOT NULL,
    app             VARBINARY(1020) NOT NULL,
    version         VARBINARY(1020) NOT NULL,
    service_name    VARBINARY(1020) NOT NULL,
    num_instances   INT UNSIGNED NOT NULL,
    state           VARBINARY(16) NOT NULL CHECK (state IN ('submitting', 'submitted', 'unknown',
                        'succeeded', 'failed', 'refused', 'observed', 'abandoned', 'baseline')),
    deploy_id       VARBINARY(1020),
    payload_sha256  VARBINARY(64),
    template_sha256 VARBINARY(64),
    suffixes_before MEDIUMBLOB,                   -- JSON array, NULL: the cluster was not read
    counts          BOOLEAN NOT NULL,
    command         VARBINARY(32) NOT NULL,
    token           BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    message         MEDIUMBLOB NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE KEY artifactory_attempts_id (id),
    KEY artifactory_attempts_version (domain, environment, app, version, seq),
    KEY artifactory_attempts_state (domain, environment, state)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS artifactory_attempt_events (
    seq     BIGINT NOT NULL AUTO_INCREMENT,
    attempt VARBINARY(36) NOT NULL,
    state   VARBINARY(16) NOT NULL,
    at      BIGINT NOT NULL,
    message MEDIUMBLOB NOT NULL,
    token   BIGINT NOT NULL,
    PRIMARY KEY (seq),
    KEY artifactory_attempt_events_attempt (attempt, seq),
    CONSTRAINT artifactory_attempt_events_of FOREIGN KEY (attempt) REFERENCES artifactory_attempts (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS artifactory_holds (
    domain      VARBINARY(128) NOT NULL,
    environment VARBINARY(128) NOT NULL,
    app         VARBINARY(1020) NOT NULL,
    reason      MEDIUMBLOB NOT NULL,
    until       BIGINT,
    newer_than  VARBINARY(1020),
    placed_by   VARBINARY(255) NOT NULL,
    placed_at   BIGINT NOT NULL,
    PRIMARY KEY (domain, environment, app)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 ROW_FORMAT = DYNAMIC;

-- holder_id is NULL while nobody holds the lease. open_attempt is the slot: while it is taken
-- nobody may send, whoever holds the lease; only the end of that attempt empties it.
CREATE TABLE IF NOT EXISTS artifactory_lease (
    domain       VARBINARY(128) NOT NULL,
    environment  VARBINARY(128) NOT NULL,
    token        BIGINT NOT NULL,                 -- +1 at every acquisition
    holder_id    VARBINARY(36),                   -- one run of the program
    holder       VARBINARY(1020) NOT NULL,        -- host, pid and version, for people
    process      VARBINARY(255) NOT NULL,         -- boot, pid namespace, pid and start time
    since        BIGINT NOT NULL,
    beat         BIGINT NOT NULL,                 -- +1 at every renewal
    ttl_ms       BIGINT NOT NULL,
    expires_at   DATETIME(6) NOT NULL,            -- UTC, by the server's clock
    open_attempt VARBINARY(36),
    PRIMARY KEY (domain, environment)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS artifactory_passes (
    seq          BIGINT NOT NULL AUTO_INCREMENT,
    domain       VARBINARY(128) NOT NULL,
    environment  VARBINARY(128) NOT NULL,
    command      VARBINARY(32) NOT NULL,
    started_at   BIGINT NOT NULL,
    finished_at  BIGINT NOT NULL,
    exit_code    TINYINT UNSIGNED NOT NULL,
    busy         BOOLEAN,                         -- NULL: coreos-deploy was not asked
    report       LONGBLOB NOT NULL,               -- JSON
    bad_payloads LONGBLOB NOT NULL,               -- JSON
    PRIMARY KEY (seq),
    KEY artifactory_passes_scope (domain, environment, seq)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 ROW_FORMAT = DYNAMIC;
