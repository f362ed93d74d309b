//! Addresses that targets may never have: those of the API server.

use std::net::SocketAddr;

/// Sockets behind the API server's URL; empty if its name does not resolve now.
pub(super) async fn of_api_server(url: &http::Uri) -> Vec<SocketAddr> {
    let Some(host) = url.host() else { return Vec::new() };
    let default = if url.scheme_str() == Some("http") { 80 } else { 443 };
    let port = url.port_u16().unwrap_or(default);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match tokio::net::lookup_host((host, port)).await {
        Ok(found) => found.collect(),
        Err(error) => {
            tracing::warn!(%error, "The API server's name does not resolve; its address is not denied to targets");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[tokio::test]
    async fn api_server_is_found_by_address_with_its_port() {
        let found = of_api_server(&"https://127.0.0.1:6443/".parse().unwrap()).await;
        assert_eq!(found, [([127, 0, 0, 1], 6443).into()]);
        let found = of_api_server(&"https://[::1]/".parse().unwrap()).await;
        assert_eq!(found, [(Ipv6Addr::LOCALHOST, 443).into()]);
    }
}
