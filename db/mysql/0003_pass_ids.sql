-- The id of a pass, by which its report is looked up.

ALTER TABLE artifactory_passes ADD COLUMN pass VARBINARY(36) NOT NULL DEFAULT '';

ALTER TABLE artifactory_passes ADD KEY artifactory_passes_pass (domain, environment, pass);
