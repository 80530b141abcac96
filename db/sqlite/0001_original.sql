-- The two tables of the original daemon, with its names, columns, unique keys and status numbers.
-- A database that has them already keeps them and their rows.

CREATE TABLE IF NOT EXISTS artifactory_deploys (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    deploy_id    VARCHAR(255) NOT NULL,           -- id of the last deploy, '' if none is known
    domain       VARCHAR(255) NOT NULL,
    environment  VARCHAR(255) NOT NULL,
    service_name VARCHAR(255) NOT NULL,           -- the app's folder
    version      VARCHAR(255) NOT NULL,           -- '' is: never deployed
    status       INTEGER NOT NULL DEFAULT 1,      -- 1 started, 2 success, 3 failed
    updated_at   DATETIME NOT NULL,               -- 'YYYY-MM-DD HH:MM:SS', UTC
    created_at   DATETIME NOT NULL,
    CONSTRAINT key_UNIQUE UNIQUE (domain, environment, service_name)
);

CREATE TABLE IF NOT EXISTS artifactory_auth_tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    token      VARCHAR(255) NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    name       VARCHAR(255) DEFAULT NULL,
    notes      TEXT,
    CONSTRAINT token_UNIQUE UNIQUE (token)
);
