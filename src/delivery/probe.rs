//! Asking a target whether it is there. Nothing here posts an alert.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, Method, Uri, uri::PathAndQuery};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{
    classify::{Answer, Evidence, Verdict, by_status},
    client::{self, Client, Outcome},
    credentials::Refusal,
    exchange::{Call, Profile, Received},
    fault::Fault,
    vendor::{self, Vendor},
};
use crate::{
    api::{HealthCheckType, HttpCheckMethod, PublishTargetSpec},
    registry::{Depth, Endpoint, ProbePlan, Sample, SampleSource, Target},
};

/// How a target of this spec is asked; `None`: never.
pub(super) fn plan(
    spec: &PublishTargetSpec,
    vendor: &dyn Vendor,
) -> Result<Option<ProbePlan>, Refusal> {
    let check = spec.effective_health_check();
    let auto = vendor.auto_probe();
    Ok(match check.kind() {
        HealthCheckType::None => None,
        HealthCheckType::Auto => Some(auto),
        // Nothing to connect to.
        _ if auto == ProbePlan::Always => Some(auto),
        HealthCheckType::TCP => Some(ProbePlan::Connect),
        HealthCheckType::HTTP => {
            let http = check.effective_http();
            let path = http.path();
            if !path.starts_with('/') || path.parse::<PathAndQuery>().is_err() {
                return Err(Refusal::spec(
                    "spec.healthCheck.http.path is not a path; write it as /path",
                ));
            }
            Some(ProbePlan::Http {
                path: Some(path.to_owned()),
                method: match http.method() {
                    HttpCheckMethod::GET => Method::GET,
                    HttpCheckMethod::HEAD => Method::HEAD,
                    HttpCheckMethod::OPTIONS => Method::OPTIONS,
                },
                expected: expected(&http.effective().expected_statuses)?,
                // The path may answer anybody: only a delivery shows that the credential works.
                proves_credential: false,
            })
        }
    })
}

fn expected(texts: &[String]) -> Result<Vec<(u16, u16)>, Refusal> {
    let range = |text: &String| {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        Some((low.parse().ok()?, high.parse().ok()?))
    };
    texts.iter().map(range).collect::<Option<_>>().ok_or_else(|| {
        Refusal::spec(
            "spec.healthCheck.http.expectedStatuses holds something that is neither a code (200) nor a \
             range (200-299)",
        )
    })
}

impl Client {
    /// Asks `target` whether it is there, under its health check's timeout. It never posts and never
    /// pages. A target that is never asked (`ProbePlan` missing) is well as far as anybody knows.
    pub async fn probe(&self, target: &Arc<Target>) -> Sample {
        let started = Instant::now();
        let profile = self.profile(target);
        let each = target.endpoints.iter().map(|at| ask(&profile, target, at, started));
        // Nothing to ask proves all there is; an answer that says nothing proves that there was one.
        let plain = if matches!(target.probe, Some(ProbePlan::Always) | None) {
            Depth::Credential
        } else {
            Depth::Answer
        };
        let outcomes = match &target.probe {
            Some(ProbePlan::Connect | ProbePlan::Http { .. }) => join_all(each).await,
            Some(ProbePlan::Always) | None => Vec::new(),
        };
        let ill = |outcome: &Outcome| matches!(outcome.verdict.evidence, Evidence::Ill(_));
        let best = outcomes.into_iter().min_by_key(ill);
        best.and_then(|outcome| outcome.sample(SampleSource::Probe)).unwrap_or_else(|| Sample {
            verdict: Ok(plain),
            latency: started.elapsed(),
            source: SampleSource::Probe,
        })
    }
}

/// Asks one endpoint.
async fn ask(profile: &Profile, target: &Target, at: &Endpoint, started: Instant) -> Outcome {
    let deadline = started + target.health.timeout;
    let Some(ProbePlan::Http { path, method, expected, proves_credential }) = &target.probe else {
        let opened = timeout_at(deadline, profile.connector.open(at.uri())).await;
        let fault = match opened {
            Ok(Ok(_)) => return Outcome::well(Depth::Connect, started.elapsed()),
            Ok(Err(error)) => Fault::Connect(error),
            Err(_) => Fault::NoConnection,
        };
        return Outcome::fault(fault, at, started.elapsed());
    };
    let call = Call {
        method: method.clone(),
        uri: uri(at.uri(), path.as_deref()),
        headers: client::all(target, HeaderMap::new()),
        body: Bytes::new(),
        reads_success: false,
    };
    match profile.exchange(&call, deadline).await {
        Ok(received) => {
            let depth = if *proves_credential { Depth::Credential } else { Depth::Answer };
            let verdict = judge(target, at, &received, (expected, depth));
            Outcome {
                verdict,
                status: Some(received.status.as_u16()),
                latency: received.at - started,
            }
        }
        Err(failed) => Outcome::fault(failed.fault, at, started.elapsed()),
    }
}

/// What the answer to a check says. A failure is as deep as the check's success, so that the check itself can
/// clear it.
fn judge(
    target: &Target,
    at: &Endpoint,
    received: &Received,
    (expected, depth): (&[(u16, u16)], Depth),
) -> Verdict {
    let answer = Answer {
        host: at.host(),
        status: received.status,
        headers: &received.headers,
        body: &received.body,
        now: Timestamp::now(),
    };
    let code = answer.status.as_u16();
    let healthy = expected.iter().any(|(low, high)| (*low..=*high).contains(&code));
    if healthy || vendor::of(target.kind).alive(&answer) {
        return Verdict { result: Ok(()), evidence: Evidence::Well(depth) };
    }
    let mut verdict = by_status(&answer);
    if verdict.result.is_ok() {
        verdict =
            answer.unexpected("the health check expects another status; see expectedStatuses");
    }
    verdict.evidence = Evidence::Ill(depth);
    verdict
}

/// The address of a check. A relative path is resolved against the endpoint's own.
fn uri(endpoint: &Uri, path: Option<&str>) -> Uri {
    let Some(path) = path else { return endpoint.clone() };
    let replaced = if path.starts_with('/') {
        let mut parts = endpoint.clone().into_parts();
        parts.path_and_query = path.parse().ok();
        Uri::from_parts(parts).ok()
    } else {
        let joined = Url::parse(&endpoint.to_string()).and_then(|base| base.join(path));
        joined.ok().and_then(|url| url.as_str().parse().ok())
    };
    replaced.unwrap_or_else(|| endpoint.clone())
}

// === impl Outcome ===

impl Outcome {
    fn well(depth: Depth, latency: Duration) -> Self {
        let verdict = Verdict { result: Ok(()), evidence: Evidence::Well(depth) };
        Self { verdict, status: None, latency }
    }

    fn fault(fault: Fault, at: &Endpoint, latency: Duration) -> Self {
        Self { verdict: fault.verdict(at.host()), status: None, latency }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_check_stays_on_the_endpoints_host() {
        let endpoint: Uri = "http://am:9093/prefix/api/v2/alerts?x=1".parse().unwrap();
        let at = |path: Option<&str>| uri(&endpoint, path).to_string();
        assert_eq!(at(None), "http://am:9093/prefix/api/v2/alerts?x=1");
        assert_eq!(at(Some("../../-/ready")), "http://am:9093/prefix/-/ready");
        assert_eq!(at(Some("/healthz?full=1")), "http://am:9093/healthz?full=1");
        for path in ["//other.example/x", "/@other.example", "/\\other.example/"] {
            assert!(at(Some(path)).starts_with("http://am:9093/"), "{path}");
        }
    }
}
