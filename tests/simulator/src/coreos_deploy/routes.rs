//! What coreos-deploy answers.

use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use serde_json::Value;
use uuid::Uuid;

use super::{Behaviour, DeployRow, Inner, State};
use crate::encoding::{go_json, percent_decode};
use crate::http::{Reply, Request, Response, phrase};
use crate::{Fault, date, fault, lock};

const JSON: &str = "application/json;charset=utf-8";
const BEGUN: &str = "Start deploy.";
const STEPS: [&str; 5] = [
    "Saving service unit code to temp file.",
    "Applying etcd2 key changes.",
    "Install service template.",
    "Deleting temp unit file.",
    "Performing A/B rotation of service.",
];

impl State {
    /// Answers a request; drops the reply that comes too late.
    pub(super) fn answer(self: &Arc<Self>, request: &Request) -> Reply {
        let life = self.mutex.life();
        let id = Uuid::new_v4().to_string().to_uppercase();
        if is_deploy(request) {
            let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
            lock(&self.posts).push(body.clone());
            if let Some(hook) = &*lock(&self.hook) {
                hook(&body);
            }
        }
        let fault = self.faults.take(&request.path);
        let is_foreign = fault.as_ref().is_some_and(Fault::is_foreign);
        let reply = fault::apply(fault, &self.stop, refusal, || self.act(request, &id, life));
        let limit = lock(&self.inner).write_timeout;
        if request.at.elapsed() > limit || self.mutex.life() != life {
            return Reply::Close;
        }
        reply.map(|response| {
            if is_foreign {
                return response;
            }
            response
                .with("Date", date::header(SystemTime::now(), "+0000"))
                .with("Server", "rig-deploy")
                .with("X-Request-Id", id)
        })
    }

    /// Does what a request asks for, holding the mutex; a deploy keeps it.
    fn act(self: &Arc<Self>, request: &Request, id: &str, life: u64) -> Reply {
        if !self.mutex.take(life) {
            return Reply::Close;
        }
        let accepted = {
            let mut inner = lock(&self.inner);
            match inner.route(request) {
                Ok(reply) => Err(reply),
                Err(deploy) => Ok(inner.accept(&deploy, id)),
            }
        };
        match accepted {
            Err(reply) => {
                self.mutex.give(life);
                reply
            }
            Ok((index, behaviour)) => {
                let state = Arc::clone(self);
                thread::spawn(move || state.run(index, &behaviour, life));
                Response::new(200, JSON, format!("{{\"deployID\":\"{id}\"}}")).into()
            }
        }
    }

    /// Runs a deploy to its end and gives the mutex back.
    fn run(&self, index: usize, behaviour: &Behaviour, life: u64) {
        if self.mutex.work(life, || lock(&self.inner).takes) {
            lock(&self.inner).finish(index, behaviour);
            self.mutex.give(life);
        }
    }
}

/// A deploy request that was understood.
struct Deploy {
    name: String,
    version: String,
    instances: i64,
}

impl Inner {
    /// Answers, or hands back the deploy to begin.
    fn route(&self, request: &Request) -> Result<Reply, Deploy> {
        let route = request.route();
        if route.contains("//") || route == "/v1.0/status" {
            let mut clean = route.to_owned();
            while clean.contains("//") {
                clean = clean.replace("//", "/");
            }
            if clean == "/v1.0/status" {
                clean.push('/');
            }
            return Ok(Response::new(301, JSON, "").with("Location", clean).into());
        }
        let known = [
            "/v1.0/health",
            "/v1.0/info",
            "/v1.0/deploy",
            "/v1.0/cluster_map",
        ];
        if !known.contains(&route) && !route.starts_with("/v1.0/status/") {
            return Ok(refusal(404).into());
        }
        if let Some(status) = self.refused(request) {
            return Ok(refusal(status).into());
        }
        Ok(match route {
            "/v1.0/health" => Response::new(200, JSON, "").into(),
            "/v1.0/info" => Response::new(200, JSON, self.info()).into(),
            "/v1.0/cluster_map" => self.cluster_map(request),
            "/v1.0/deploy" => match understand(&request.body) {
                Some(deploy) => return Err(deploy),
                None => refusal(400).into(),
            },
            _ => Response::new(200, JSON, self.status(route)).into(),
        })
    }

    /// The checks of every route, in the order of the original.
    fn refused(&self, request: &Request) -> Option<u16> {
        let json = |name| request.header(name) == Some("application/json");
        let health = request.route() == "/v1.0/health";
        let method = if request.route() == "/v1.0/deploy" {
            "POST"
        } else {
            "GET"
        };
        if !(health || json("content-type") && json("accept")) {
            return Some(415);
        }
        if request.method != method {
            return Some(405);
        }
        // The original cuts every "Bearer " out, and its database compares without case.
        let token = request
            .header("authorization")
            .unwrap_or_default()
            .replace("Bearer ", "");
        (!health && !token.eq_ignore_ascii_case(&self.token)).then_some(401)
    }

    fn info(&self) -> String {
        format!(
            concat!(
                r#"{{"options":{{"name":"rig-deploy","hostName":"127.0.0.1","domain":{},"environment":{},"#,
                r#""port":{},"profPort":0,"etcd2Endpoint":"127.0.0.1:22379","maxProcs":0,"debugEnabled":false}}}}"#
            ),
            go_json(&self.domain),
            go_json(&self.environment),
            self.port
        )
    }

    fn cluster_map(&self, request: &Request) -> Reply {
        if !self.cluster.readable {
            return text(
                406,
                "Invalid query string. err: stub: list-machines failed\n",
            )
            .into();
        }
        let [machines, units] = ["mq", "uq"].map(|name| request.query(name).unwrap_or_default());
        match self.cluster.map(&machines, &units) {
            Some(body) => Response::new(200, JSON, body).into(),
            None => Reply::Close,
        }
    }

    fn status(&self, route: &str) -> String {
        let id = percent_decode(route);
        let id = id.rsplit('/').next().unwrap_or_default();
        let mut rows = self.rows.iter().filter(|row| row.recorded);
        let Some(row) = rows.find(|row| row.id.eq_ignore_ascii_case(id)) else {
            return format!(r#"{{"id":{id},"error":"sql: no rows in result set"}}"#);
        };
        format!(
            concat!(
                r#"{{"deployID":"{}","domain":{},"environment":{},"serviceName":{},"version":{},"suffix":"{}","#,
                r#""numInstances":{},"status":{},"message":{},"log":{},"updatedAt":"{}","createdAt":"{}"}}"#
            ),
            row.id,
            go_json(&self.domain),
            go_json(&self.environment),
            go_json(&row.name),
            go_json(&row.version),
            row.suffix,
            row.instances,
            row.status,
            go_json(&row.message),
            go_json(&row.log),
            date::sql(row.updated),
            date::sql(row.created)
        )
    }

    fn accept(&mut self, deploy: &Deploy, id: &str) -> (usize, Behaviour) {
        let behaviour = self.queue.pop_front().unwrap_or(Behaviour::Succeed);
        let now = SystemTime::now();
        self.rows.push(DeployRow {
            id: id.to_owned(),
            name: deploy.name.clone(),
            version: deploy.version.clone(),
            instances: deploy.instances,
            status: 1,
            suffix: suffix(),
            message: BEGUN.to_owned(),
            log: BEGUN.to_owned(),
            recorded: behaviour != Behaviour::NoRow,
            created: now,
            updated: now,
        });
        (self.rows.len() - 1, behaviour)
    }

    fn finish(&mut self, index: usize, behaviour: &Behaviour) {
        let Some(row) = self.rows.get_mut(index) else {
            return;
        };
        let wanted = usize::try_from(row.instances).unwrap_or(0);
        let (failure, units) = match behaviour {
            Behaviour::Succeed | Behaviour::NoRow => (None, wanted),
            Behaviour::Fail(message) => (Some(message), 0),
            Behaviour::FailPartly(message, units) => (Some(message), *units),
            Behaviour::Die { units } => (None, *units),
        };
        let rotate = matches!(behaviour, Behaviour::Succeed | Behaviour::NoRow);
        self.cluster
            .deploy(&row.name, &row.version, &row.suffix, units, rotate);
        if matches!(behaviour, Behaviour::Die { .. }) {
            return;
        }
        let steps = STEPS.join("\n");
        (row.status, row.message, row.log) = match failure {
            None => {
                let message = "Service deployed successfully.".to_owned();
                let log = format!("{steps}\nSUCCESS: {message}\n");
                (2, message, log)
            }
            Some(message) => (
                3,
                message.clone(),
                format!("{steps}\nERR: {message}\nstub: start failed\n\n"),
            ),
        };
        row.updated = SystemTime::now();
    }
}

fn is_deploy(request: &Request) -> bool {
    request.method == "POST" && request.route() == "/v1.0/deploy"
}

/// Reads a request as Go does: keys in any case, what is missing is empty, `null` is an empty one.
fn understand(body: &[u8]) -> Option<Deploy> {
    let mut deploy = Deploy {
        name: String::new(),
        version: String::new(),
        instances: 0,
    };
    let object = match serde_json::from_slice(body).ok()? {
        Value::Null => return Some(deploy),
        Value::Object(object) => object,
        _ => return None,
    };
    for (key, value) in &object {
        match key.to_ascii_lowercase().as_str() {
            _ if value.is_null() => {}
            "servicename" => value.as_str()?.clone_into(&mut deploy.name),
            "version" => value.as_str()?.clone_into(&mut deploy.version),
            "numinstances" => deploy.instances = value.as_i64()?,
            "servicetemplate" => {
                value.as_str()?;
            }
            "etcd2keys" => {
                value
                    .as_object()?
                    .values()
                    .all(Value::is_string)
                    .then_some(())?;
            }
            _ => {}
        }
    }
    Some(deploy)
}

/// Eight random characters of `[a-z0-9]`.
fn suffix() -> String {
    let bytes = Uuid::new_v4().into_bytes();
    // The sixth to the ninth byte hold the version and the variant: not random.
    bytes[..6]
        .iter()
        .chain(&bytes[10..12])
        .map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[usize::from(byte % 36)]))
        .collect()
}

/// The error page of a status.
fn refusal(status: u16) -> Response {
    text(
        status,
        match status {
            400 => "Invalid JSON format in text of body in request.",
            401 => "Invalid authorization.",
            404 => "404 page not found",
            405 => "Invalid Method for this route.",
            415 => "Invalid Content-Type or Accept header value.",
            _ => phrase(status),
        },
    )
}

fn text(status: u16, line: &str) -> Response {
    Response::new(status, "text/plain; charset=utf-8", format!("{line}\n"))
        .with("X-Content-Type-Options", "nosniff")
}
