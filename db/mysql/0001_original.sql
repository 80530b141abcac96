-- The two tables of the original daemon, with its names, columns, unique keys and status numbers.
-- A database that has them already keeps them and their rows.

CREATE TABLE IF NOT EXISTS artifactory_deploys (
    id           INT NOT NULL AUTO_INCREMENT,
    deploy_id    VARCHAR(255) NOT NULL,           -- id of the last deploy, '' if none is known
    domain       VARCHAR(255) NOT NULL,
    environment  VARCHAR(255) NOT NULL,
    service_name VARCHAR(255) NOT NULL,           -- the app's folder
    version      VARCHAR(255) NOT NULL,           -- '' is: never deployed
    status       INT NOT NULL DEFAULT 1,          -- 1 started, 2 success, 3 failed
    updated_at   DATETIME NOT NULL,               -- UTC
    created_at   DATETIME NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY key_UNIQUE (domain, environment, service_name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS artifactory_auth_tokens (
    id         INT NOT NULL AUTO_INCREMENT,
    token      VARCHAR(255) NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    name       VARCHAR(255) DEFAULT NULL,
    notes      TEXT,
    PRIMARY KEY (id),
    UNIQUE KEY token_UNIQUE (token)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin ROW_FORMAT = DYNAMIC;
