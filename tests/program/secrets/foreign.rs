//! What answers in Artifactory's place, at each of the places where it may: how the program ends,
//! how often it asks, whom it names, and that it keeps its secrets.

mod answers;

use std::thread;

use simulator::{Artifactory, Fault};

use super::echoes::{echoes, entities, escapes, text};
use super::{ART, DEPLOY, Kind, Safe, Source, needles, search_rig};
use answers::{ANSWERS, Answer};

/// Where something else answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Listing,
    Folder,
    Info,
    Download,
    Store,
}

use Place::{Download, Folder, Info, Listing, Store};

impl Place {
    fn path(self) -> &'static str {
        match self {
            Listing => "/api/storage/deploys",
            Folder => "/api/storage/deploys/video",
            Info => "/api/storage/payloads/video",
            Download => "/artifactory/payloads/video",
            Store => "/filestore",
        }
    }

    fn is_download(self) -> bool {
        matches!(self, Download | Store)
    }
}

impl Answer {
    fn is_page(&self) -> bool {
        self.body.starts_with('<')
    }

    /// The body, with what an indiscreet peer would put into it.
    fn body(&self, echo: &str) -> String {
        let (echo, body) = (format!(" {echo}"), self.body);
        let before = |mark: &str| Some(body.split_at(body.find(mark)?));
        let found = before("</title>").or_else(|| before("</body>"));
        if let Some((start, end)) = found.or_else(|| before("</Message>")) {
            return format!("{start}{}{end}", entities(&echo));
        }
        match before("\"}") {
            Some((start, end)) => format!("{start}{}{end}", escapes(&echo)),
            None if body.is_empty() || body.starts_with('{') => body.to_owned(),
            None => format!("{body}{echo}"),
        }
    }

    fn fault(&self, echo: &str) -> Fault {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Fault::StatusWith(self.status, headers.collect(), self.body(echo))
    }

    /// How often the place is asked.
    fn requests(&self, place: Place) -> usize {
        match self.status {
            200 if self.body.is_empty() => 4,
            // What is no page is looked up once more.
            200 if place.is_download() && !self.is_page() => 2,
            200 => 1,
            301 | 302 if place.is_download() => 4,
            403 | 404 | 408 | 429 | 500.. => 4,
            _ if place == Store => 4,
            _ => 1,
        }
    }

    fn exit(&self, place: Place) -> i32 {
        match (self.status, place) {
            (401, Listing | Folder | Info | Download) => 77,
            // One app can't be read; the others could.
            (_, Folder) => 1,
            // What it sent is no page, no cut and not the file.
            (200, Download | Store) if !self.is_page() && !self.body.is_empty() => 1,
            _ => 69,
        }
    }

    /// What must be told.
    fn told(&self, place: Place) -> Vec<&'static str> {
        match (self.status, place) {
            (301 | 302, Download | Store) => {
                vec!["the store behind Artifactory, http://127.0.0.1:1,"]
            }
            (200, _) if self.is_page() => vec![self.culprit],
            (200, Download | Store) if self.body.is_empty() => vec!["the download was cut"],
            (200, Download | Store) => vec!["the checksum does not match"],
            (200, _) => vec!["the answer is not what Artifactory sends"],
            (_, Store) => vec![
                "the store behind Artifactory, http://127.0.0.1:",
                " answered ",
            ],
            _ => vec!["something before Artifactory answered ", self.culprit],
        }
    }
}

fn check(safe: &Safe, answer: &Answer, place: Place, echo: &str) {
    let what = format!("{} at {place:?}", answer.name);
    let store = Artifactory::start();
    let server = if place == Store {
        let to = format!("{}/filestore/x?sig=1", store.url());
        let away = Fault::StatusWith(302, vec![("Location".to_owned(), to)], String::new());
        safe.rig.artifactory.fault(Download.path(), away, None);
        &store
    } else {
        &safe.rig.artifactory
    };
    safe.rig.artifactory.reset_requests();
    server.fault(place.path(), answer.fault(echo), None);
    let arguments = ["--listing", "folders", "-vv", "--output", "json"];
    let output = safe.command(&arguments).output().expect("it starts");
    safe.search(&what, &output);
    let shown = text(&output);
    assert_eq!(
        output.status.code(),
        Some(answer.exit(place)),
        "{what}: {shown}"
    );
    for words in answer.told(place) {
        assert!(shown.contains(words), "{what}: no {words:?} in {shown}");
    }
    let asked = server.requests();
    let asked = asked
        .iter()
        .filter(|request| request.path.contains(place.path()));
    assert_eq!(asked.count(), answer.requests(place), "{what}: {shown}");
    safe.rig.artifactory.clear_faults();
}

#[test]
fn what_answers_in_artifactorys_place_is_named_and_never_believed() {
    assert!(ANSWERS.len() >= 40);
    let echo = echoes()[..2].join(" ");
    thread::scope(|scope| {
        for answer in ANSWERS {
            let echo = &echo;
            scope.spawn(move || {
                let safe = Safe::new(Kind::Password, Source::Variable);
                safe.rig.publish("video", "1.0");
                for place in [Listing, Folder, Info, Download, Store] {
                    check(&safe, answer, place, echo);
                }
                assert_eq!(safe.rig.posted(), [""; 0], "{}", answer.name);
                search_rig(answer.name, &safe.rig, &needles(&[ART, DEPLOY]));
            });
        }
    });
}
