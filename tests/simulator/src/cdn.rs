//! A file store behind redirects, as Amazon S3 is behind Artifactory's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::http::{LOOPBACK, Request, Response, Server, Stop};
use crate::lock;

/// Where downloads are redirected to. It refuses requests that carry credentials, as S3 does, and
/// sends no checksums.
pub struct Cdn {
    server: Server,
    store: Store,
}

/// What the file store and the server that redirects to it share.
#[derive(Clone)]
pub(crate) struct Store {
    base: Arc<Mutex<String>>,
    files: Arc<Mutex<HashMap<String, Vec<u8>>>>,
}

impl Cdn {
    /// Starts it, empty.
    pub fn start() -> Self {
        let store = Store {
            base: Arc::default(),
            files: Arc::default(),
        };
        let files = store.clone();
        let server = Server::start(LOOPBACK, Arc::new(Stop::default()), move |request| {
            files.answer(request).into()
        });
        *lock(&store.base) = format!("http://127.0.0.1:{}", server.port());
        Self { server, store }
    }

    /// Gives its address, without a slash at the end.
    pub fn url(&self) -> String {
        lock(&self.store.base).clone()
    }

    /// Gives the requests it got.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    pub(crate) fn store(&self) -> Store {
        self.store.clone()
    }
}

impl Store {
    /// Keeps a file and gives the address to send a client to.
    pub(crate) fn keep(&self, sha1: &str, bytes: &[u8]) -> String {
        let path = format!("/filestore/{}/{sha1}", &sha1[..2]);
        lock(&self.files).insert(path.clone(), bytes.to_vec());
        format!(
            "{}{path}?X-Artifactory-username=sysadm&X-Amz-Expires=60",
            lock(&self.base)
        )
    }

    fn answer(&self, request: &Request) -> Response {
        let credentials = ["authorization", "x-jfrog-art-api"];
        if credentials
            .iter()
            .any(|name| request.header(name).is_some())
        {
            let text = "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>";
            return Response::new(400, "application/xml", text);
        }
        match lock(&self.files).get(request.route()) {
            None => Response::new(
                404,
                "application/xml",
                "<Error><Code>NoSuchKey</Code></Error>",
            ),
            Some(bytes) => Response::new(200, "application/x-gzip", bytes.clone()),
        }
    }
}
