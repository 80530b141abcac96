//! The one request that changes something.

use reqwest::blocking::Response;
use reqwest::header::HeaderName;

use crate::error::{Error, Kind};
use crate::http::{Answer, Peer, header};
use crate::model::request::DeployRequest;

use super::{CoreosDeploy, REPLY_LIMIT, Submission, replies};

/// The request header whose value is also the id of a deploy (recorded).
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl CoreosDeploy {
    /// Submits a deploy (`POST /v1.0/deploy`): sent once, on a connection of its own, never
    /// retried or redirected; at most 15 s.
    ///
    /// [`Submission::Refused`] is given only where the service certainly did not accept: nothing
    /// was sent, or the status is one that it answers before it starts anything (400, 401, 405,
    /// 415), or one that shows that the request never got to it (403, 404, 429, 3xx).
    pub(super) fn post(&self, request: &DeployRequest) -> Submission {
        let body = match serde_json::to_vec(request) {
            Ok(body) => body,
            Err(e) => return refused(format!("the request cannot be written: {e}"), true, None),
        };
        let post = self.client.post(self.endpoint("deploy")).body(body);
        match self.send(post, self.limits.reply) {
            Ok(response) => self.read_submission(response),
            Err(e) if e.is_connect() || e.is_builder() => {
                let error = self.unreachable(&e);
                refused(error.one_line(), false, Some(error))
            }
            Err(e) => Submission::Lost(format!(
                "no reply of coreos-deploy to the deploy: {}",
                self.describe(&e)
            )),
        }
    }

    fn read_submission(&self, mut response: Response) -> Submission {
        let status = response.status();
        if status.is_success() {
            return self.accepted(&mut response);
        }
        let judged = Answer::read(Peer::CoreosDeploy, response, &self.http);
        let answer = Self::told(&judged);
        if judged.is_undelivered {
            let error = self.unusable(&answer);
            return refused(answer, false, Some(error));
        }
        match status.as_u16() {
            400 | 404 | 405 | 415 => refused(answer, true, None),
            401 | 403 => {
                let error = self.credentials(&answer);
                refused(answer, false, Some(error))
            }
            429 => {
                let error =
                    Error::new(Kind::Busy, format!("coreos-deploy at {} is busy", self.url))
                        .because(&answer);
                refused(answer, false, Some(error))
            }
            300..=399 => {
                let error = self.redirected(&answer);
                refused(answer, false, Some(error))
            }
            _ => Submission::Lost(answer),
        }
    }

    /// The id of a deploy that was accepted: it stands in the body and in a header, and is known
    /// while either can be read.
    fn accepted(&self, response: &mut Response) -> Submission {
        let status = response.status();
        let header = header(response, &REQUEST_ID)
            .filter(|id| replies::is_uuid(id))
            .map(str::to_owned);
        let (id, why) = match self.body(response, REPLY_LIMIT, self.limits.reply) {
            Ok(body) => (
                replies::deploy_id(&body),
                "no deploy id in the reply".to_owned(),
            ),
            Err(e) => (None, e.to_string()),
        };
        match id.or(header) {
            Some(id) => Submission::Accepted(id),
            None => Submission::Lost(format!("coreos-deploy answered {status}: {why}")),
        }
    }
}

fn refused(reason: String, counts: bool, stop: Option<Error>) -> Submission {
    Submission::Refused {
        reason,
        counts,
        stop,
    }
}
