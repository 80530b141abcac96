-- When an attempt was made, by a clock that nobody sets: the boot of the host that made it, and the
-- milliseconds from that boot to its intent.

ALTER TABLE artifactory_attempts ADD COLUMN boot_id TEXT;

ALTER TABLE artifactory_attempts ADD COLUMN boot_ms INTEGER;

-- Who asked for an attempt; nothing, where a timer did.

ALTER TABLE artifactory_attempts ADD COLUMN asked_by TEXT;

-- Since when every pass until this one has found coreos-deploy busy.

ALTER TABLE artifactory_passes ADD COLUMN busy_since INTEGER;

-- The apps of which other versions run than the ledger has (JSON), as of the end of the pass.

ALTER TABLE artifactory_passes ADD COLUMN unaccounted TEXT;

-- The versions that ran beside an attempt and that no attempt was of, accounted for by it (JSON).

ALTER TABLE artifactory_attempts ADD COLUMN accounted TEXT;

-- The versions of which one failure is forgiven (JSON, by app), as of the end of the pass.

ALTER TABLE artifactory_passes ADD COLUMN forgiven TEXT;
