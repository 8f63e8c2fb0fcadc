//! Which proxy: `--proxy`, `--no-proxy` and the environment.

use super::Env;
use crate::{
    cli::{
        error::{UsageError, shown},
        low::LowArgs,
    },
    config::{
        ProxyRules,
        proxy::{NoProxy, Proxy},
        url::Url,
    },
};

/// The rules, checked as far as they concern `url`: a variable that is for other URLs may hold anything.
pub fn rules(low: &LowArgs, env: Env<'_>, url: &Url) -> Result<ProxyRules, UsageError> {
    if let Some(text) = low.proxy.as_deref().filter(|text| !text.is_empty()) {
        Proxy::parse(text).map_err(|why| UsageError::new(format_args!("--proxy {}: {why}", shown(text))))?;
    }
    if low.route.unix_socket.is_some() {
        return match &low.proxy {
            Some(text) if !text.is_empty() => Err(UsageError::new(
                "--unix-socket and --proxy contradict each other: the socket is the whole way",
            )),
            // The environment's is for what has a way to choose.
            _ => Ok(ProxyRules::default()),
        };
    }
    if let Some(wrong) = low.no_proxy.as_deref().and_then(|list| NoProxy::parse(list).1.into_iter().next()) {
        return Err(UsageError::new(format_args!(
            "--no-proxy: {} is no name, address or network (ADDRESS/BITS)",
            shown(&wrong)
        )));
    }
    let env = |name: &str| env(name).map(|value| value.to_string_lossy().into_owned());
    let rules = ProxyRules::new(low.proxy.as_deref(), low.no_proxy.as_deref(), &env);
    rules.proxy_for(url).map_err(|why| UsageError::new(why.to_string()))?;
    Ok(rules)
}
