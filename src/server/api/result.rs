//! A publish result as JSON, and the status code that goes with it.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value, json};

use crate::{
    api::TargetType,
    publish::{ErrorType, PublishResult, SkipReason, TargetResult},
    server::error::ApiError,
};

/// The answer: the first that holds of any success 200, any queued 202, timed out 504, any failure
/// 502, all disabled 409, all skipped 503. Every answer carries the full result.
pub(super) fn answer(result: &PublishResult) -> Response {
    let body = json(result);
    match verdict(result) {
        Ok(status) => (status, Json(Value::Object(body))).into_response(),
        Err(error) => error.beside(body),
    }
}

fn verdict(result: &PublishResult) -> Result<StatusCode, ApiError> {
    if result.success_count() > 0 {
        return Ok(StatusCode::OK);
    }
    if result.results.iter().any(|result| result.queued) {
        return Ok(StatusCode::ACCEPTED);
    }
    if result.timed_out {
        return Err(ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "no target accepted the alert before options.timeout passed; the results say where each one was",
        ));
    }
    let failed = result.failure_count();
    if failed > 0 {
        return Err(ApiError::new(
            StatusCode::BAD_GATEWAY,
            "all_targets_failed",
            format!("none of {failed} targets accepted the alert; the results say why for each"),
        ));
    }
    let left_out = |reason| result.results.iter().any(|result| result.skipped == Some(reason));
    let ill = left_out(SkipReason::Unhealthy) || left_out(SkipReason::Degraded);
    Err(if left_out(SkipReason::CircuitOpen) {
        let also = if ill { "; options.strategy PublishToAll sends to unhealthy ones" } else { "" };
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_healthy_targets",
            format!(
                "every target was skipped, some because what was sent lately failed (circuit_open): wait, or send with options.retry true, which queues it, or with options.enable_circuit_breaker false, which tries all the same{also}"
            ),
        )
    } else if ill {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_healthy_targets",
            "every target was skipped; look at kubectl get publishtargets -A, or send with options.strategy PublishToAll",
        )
    } else {
        ApiError::new(
            StatusCode::CONFLICT,
            "no_enabled_targets",
            "no enabled target was selected: the selected ones are suspended or not Ready (kubectl get publishtargets -A), or the selection is empty",
        )
    })
}

fn json(result: &PublishResult) -> Map<String, Value> {
    let (success, skipped, failed) =
        (result.success_count(), result.skipped_count(), result.failure_count());
    let attempted = success + failed;
    let body = json!({
        "total_targets": result.results.len(),
        "success_count": success,
        "failure_count": failed,
        "skipped_count": skipped,
        "success_rate": percent(success, attempted),
        "is_partial_success": success > 0 && failed > 0,
        "timed_out": result.timed_out,
        "duration_ms": result.duration.as_millis(),
        "results": result.results.iter().map(one).collect::<Vec<_>>(),
    });
    match body {
        Value::Object(body) => body,
        _ => Map::new(),
    }
}

fn one(result: &TargetResult) -> Value {
    json!({
        "target_name": &*result.key.name,
        "target_namespace": &*result.key.namespace,
        "target_type": result.kind.map(TargetType::as_str),
        "success": result.success(),
        "error": result.error,
        "error_type": result.error_type.map(ErrorType::as_str),
        "status_code": result.status_code,
        "duration_ms": result.duration.as_millis(),
        "attempts": result.attempts,
        "skipped": result.skipped.is_some(),
        "skip_reason": result.skipped.map(SkipReason::as_str),
        "queued": result.queued,
    })
}

/// 100 · part / whole, 0 for nothing; one decimal.
pub(super) fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    let tenths = u32::try_from(part * 1000 / whole).unwrap_or(1000);
    f64::from(tenths) / 10.0
}
