//! Tags of real projects, in the order that their teams mean.

use super::{Order, assert_ascending};

/// A list, and what its team says about it.
type List = (&'static str, &'static [&'static str]);

/// Each list is in ascending order, and all of one are of one line of releases.
const LISTS: [List; 34] = [
    (
        "Next.js: a canary a day leads to the next patch; candidates before a major",
        &[
            "v13.4.19",
            "v13.4.20-canary.0",
            "v13.4.20-canary.9",
            "v13.4.20-canary.41",
            "v13.5.0",
            "v15.0.0-rc.0",
            "v15.0.0-rc.1",
            "v15.0.0",
        ],
    ),
    (
        "Angular: next, then rc",
        &[
            "17.0.0-next.0",
            "17.0.0-next.8",
            "17.0.0-rc.0",
            "17.0.0-rc.3",
            "17.0.0",
            "17.0.1",
        ],
    ),
    (
        "TypeScript: dev builds by date, beta, rc",
        &[
            "5.2.0-dev.20230601",
            "5.2.0-dev.20230723",
            "5.2.0-beta",
            "5.2.0-rc",
            "5.2.2",
        ],
    ),
    (
        "React: the commit and the day of a canary",
        &[
            "18.2.0",
            "18.3.0-canary-0cdfef19b-20230211",
            "18.3.0",
            "18.3.1",
        ],
    ),
    (
        "Kubernetes",
        &[
            "v1.27.9",
            "v1.28.0-alpha.0",
            "v1.28.0-alpha.4",
            "v1.28.0-beta.0",
            "v1.28.0-rc.0",
            "v1.28.0-rc.1",
            "v1.28.0",
            "v1.28.10",
        ],
    ),
    (
        "k3s: the build of k3s behind Kubernetes' own version",
        &[
            "v1.28.3-rc1+k3s1",
            "v1.28.3-rc1+k3s2",
            "v1.28.3+k3s1",
            "v1.28.3+k3s2",
            "v1.28.4-rc1+k3s1",
        ],
    ),
    (
        "GKE: a number that is no date",
        &["1.27.3-gke.100", "1.27.3-gke.1700", "1.27.4-gke.900"],
    ),
    (
        "Elasticsearch: the commit stands before the word",
        &[
            "8.0.0-alpha1",
            "8.0.0-alpha2",
            "8.0.0-beta1",
            "8.0.0-rc1",
            "8.0.0-rc2",
            "8.0.0",
            "8.12.0-1a2b3c4d-SNAPSHOT",
            "8.12.0",
        ],
    ),
    (
        "Spring Framework: milestones, candidates, RELEASE",
        &[
            "5.0.0.M1",
            "5.0.0.M5",
            "5.0.0.RC1",
            "5.0.0.RC4",
            "5.0.0.RELEASE",
            "5.0.1.RELEASE",
        ],
    ),
    (
        "Spring Framework: what its builds were called leads to the release",
        &["4.3.29.RELEASE", "5.0.0.BUILD-SNAPSHOT", "5.0.0.RELEASE"],
    ),
    (
        "Spring Cloud: a train by its name, service releases behind it",
        &[
            "Finchley.M9",
            "Finchley.RC2",
            "Finchley.RELEASE",
            "Finchley.SR1",
            "Finchley.SR4",
            "Hoxton.M3",
            "Hoxton.RC1",
            "Hoxton.SR12",
        ],
    ),
    (
        "Hibernate",
        &[
            "5.0.0.Alpha1",
            "5.0.0.Beta1",
            "5.0.0.Beta2",
            "5.0.0.CR1",
            "5.0.0.CR4",
            "5.0.0.Final",
            "5.0.10.Final",
        ],
    ),
    (
        "Jetty 9: the day of the release",
        &[
            "9.4.0.M1",
            "9.4.0.RC0",
            "9.4.0.RC3",
            "9.4.0.v20161208",
            "9.4.1.v20170120",
            "9.4.11.v20180605",
        ],
    ),
    (
        "Kotlin: M, Beta, RC without and with a number",
        &[
            "1.9.20-Beta",
            "1.9.20-Beta2",
            "1.9.20-RC",
            "1.9.20-RC2",
            "1.9.20",
            "1.9.21",
        ],
    ),
    (
        "IntelliJ: early access",
        &[
            "2023.2.5",
            "2023.3-EAP1",
            "2023.3-EAP3",
            "2023.3-EAP10",
            "2023.3",
            "2023.3.1",
        ],
    ),
    (
        "OpenJDK: early access builds, numbers behind +",
        &[
            "jdk-20.0.2+9",
            "jdk-21-ea+1",
            "jdk-21-ea+35",
            "jdk-21",
            "jdk-21.0.1+12",
        ],
    ),
    (
        "Maven, one snapshot: the names that the repository gives its builds",
        &[
            "1.0-20230101.123456-1",
            "1.0-20230101.235959-2",
            "1.0-20230102.000000-10",
            "1.0",
            "1.1-SNAPSHOT",
            "1.1-20230301.010203-4",
            "1.1",
        ],
    ),
    (
        "Maven, a snapshot of a candidate",
        &[
            "2.0-beta-1",
            "2.0-rc-1-20230101.123456-1",
            "2.0-rc-1",
            "2.0",
        ],
    ),
    (
        "Go: pseudo-versions after v1.2.3 and after v1.3.0-rc.1",
        &[
            "v1.2.3",
            "v1.2.4-0.20190101000000-abcdefabcdef",
            "v1.2.4-0.20190101000001-0123456789ab",
            "v1.2.4-rc.1",
            "v1.2.4",
            "v1.3.0-rc.1",
            "v1.3.0-rc.1.0.20190301000000-a1b2c3d4e5f6",
            "v1.3.0-rc.2",
            "v1.3.0",
        ],
    ),
    (
        "Go: pseudo-versions before any tag of a major version",
        &[
            "v2.0.0-20190101000000-abcdefabcdef",
            "v2.0.0-20200101000000-0a1b2c3d4e5f+incompatible",
            "v2.0.0",
            "v2.0.1",
        ],
    ),
    (
        "Go itself: no separator, a word before the numbers",
        &[
            "go1.20.14",
            "go1.21rc2",
            "go1.21rc10",
            "go1.21",
            "go1.21.1",
            "go1.22rc1",
        ],
    ),
    (
        "PHP: the same with capitals",
        &[
            "php-8.2.9",
            "php-8.3.0alpha1",
            "php-8.3.0beta3",
            "php-8.3.0RC1",
            "php-8.3.0RC6",
            "php-8.3.0",
            "php-8.3.1",
        ],
    ),
    (
        "PostgreSQL: underscores",
        &[
            "REL_15_4",
            "REL_16_BETA1",
            "REL_16_BETA3",
            "REL_16_RC1",
            "REL_16_0",
            "REL_16_1",
        ],
    ),
    (
        "OpenSSL 1.0.2: letters are fixes",
        &[
            "1.0.2-beta1",
            "1.0.2-beta3",
            "1.0.2",
            "1.0.2a",
            "1.0.2u",
            "1.0.2za",
            "1.0.2zh",
            "1.1.0",
        ],
    ),
    (
        "OpenSSH: p is the port of what OpenBSD has",
        &["9.3p1", "9.3p2", "9.8p1", "10.0p1"],
    ),
    (
        "Python: a, b, rc, and c as it was written before",
        &[
            "3.12.0a1",
            "3.12.0a7",
            "3.12.0b1",
            "3.12.0b4",
            "3.12.0rc1",
            "3.12.0rc3",
            "3.12.0",
            "3.12.1",
        ],
    ),
    (
        "Python: PEP 440, dev releases, local and post releases",
        &[
            "1.0.dev1",
            "1.0a1.dev1",
            "1.0a1",
            "1.0b2.post345.dev456",
            "1.0b2.post345",
            "1.0c1.dev456",
            "1.0c1",
            "1.0",
            "1.0+abc.5",
            "1.0+abc.7",
            "1.0+5",
            "1.0.post456",
            "1.0.15",
            "1.1.dev1",
        ],
    ),
    (
        "OpenStack: pbr's four parts",
        &[
            "27.0.0.0b1",
            "27.0.0.0rc1",
            "27.0.0.0rc2",
            "27.0.0",
            "27.0.1",
        ],
    ),
    (
        "pip, calendar versions",
        &[
            "19.3.1", "20.0", "20.0.2", "20.3b1", "20.3", "20.3.4", "21.0", "23.3.2",
        ],
    ),
    (
        "Chromium: four parts",
        &[
            "119.0.6045.199",
            "120.0.6099.9",
            "120.0.6099.62",
            "120.0.6099.109",
        ],
    ),
    (
        "Jenkins: weekly 2.440, long-term 2.440.1 of it",
        &["2.426.3", "2.439", "2.440", "2.440.1", "2.440.2", "2.441"],
    ),
    (
        "git-describe: commits after a release and after a candidate",
        &[
            "v1.0-rc1",
            "v1.0-rc1-5-ga1b2c3d",
            "v1.0-rc2",
            "v1.0",
            "v1.0-5-gea12345",
            "v1.0-14-gb123456",
            "v1.0-14-gb123456-dirty",
            "v1.1",
        ],
    ),
    (
        "Debian: revisions, rebuilds, updates (names with ~ or : cannot be a marker's)",
        &[
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+b2",
            "1.0-1+deb12u1",
            "1.0-1+deb12u2",
            "1.0-2",
            "1.0-10",
            "1.0.1-1",
        ],
    ),
    (
        "GitVersion and Azure Pipelines: branches and pull requests lead to a release",
        &[
            "1.2.2",
            "1.2.3-PullRequest0002.5",
            "1.2.3-PullRequest0002.12",
            "1.2.3-beta.4",
            "1.2.3",
            "1.2.4-unstable.7",
            "1.2.4",
        ],
    ),
];

/// Builds of every day and build numbers, with `v` and without.
const BUILDS: [List; 4] = [
    (
        "days and their builds",
        &[
            "2024.10.31",
            "v2024.11.01",
            "2024.11.01-2",
            "2024.11.01-10",
            "2024.11.2",
            "2024.12.0",
        ],
    ),
    (
        "a day in one number",
        &["20241231", "20250101-1", "20250101-10", "20250102"],
    ),
    (
        "what CI counts",
        &[
            "1.4.2-b998",
            "1.4.2-b1001",
            "1.4.2",
            "1.4.2-build.9",
            "1.4.2-build.10",
            "1.4.3",
        ],
    ),
    (
        "Docker's and Alpine's -r",
        &["3.1.4-r0", "3.1.4-r1", "3.1.4-r10", "3.1.5-r0"],
    ),
];

#[test]
fn real_lists_are_in_the_order_that_their_teams_mean() {
    for (whose, list) in LISTS.iter().chain(&BUILDS) {
        println!("{whose}");
        assert_ascending(Order::Natural, list);
    }
}
