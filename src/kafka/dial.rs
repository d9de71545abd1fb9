//! From an address to a connection that may be asked: TCP, TLS, versions and login, all within one deadline.

use tokio::time::timeout;

use super::{
    Address, Budget, Cause, Connection, Error, Security,
    connection::Deadlines,
    login::Login,
    stream::{Stream, connect, handshake},
    tls::Tls,
    traffic,
};

/// Dials, exchanges versions and logs in, all within `deadlines.dial`; a token that is needed first has its own time.
///
/// # Errors
/// The broker's address with the cause.
pub async fn dial(
    address: &Address,
    security: &Security,
    deadlines: Deadlines,
) -> Result<Connection, Error> {
    dial_on(&Budget::default(), address, security, deadlines).await
}

/// Dials on a budget that others share.
///
/// # Errors
/// The broker's address with the cause.
pub async fn dial_on(
    budget: &Budget,
    address: &Address,
    security: &Security,
    deadlines: Deadlines,
) -> Result<Connection, Error> {
    let at = |cause| Error {
        address: address.clone(),
        cause,
    };
    // Before the broker is dialled: a token endpoint has a deadline of its own.
    let login = match &security.sasl {
        Some(sasl) => Some(Login::prepared(sasl, budget).await.map_err(at)?),
        None => None,
    };
    let dialled = timeout(
        deadlines.dial,
        establish(budget, address, security.tls.as_ref(), login, deadlines),
    )
    .await;
    traffic::dialled(matches!(dialled, Ok(Ok(_))));
    match dialled {
        Ok(result) => result.map_err(at),
        Err(_) => Err(at(Cause::Timeout {
            doing: "the dial (TCP, TLS, versions, login)",
            after: deadlines.dial,
        })),
    }
}

async fn establish(
    budget: &Budget,
    address: &Address,
    tls: Option<&Tls>,
    login: Option<Login<'_>>,
    deadlines: Deadlines,
) -> Result<Connection, Cause> {
    let tls = match tls {
        Some(tls) => Some(tls.prepared().await?),
        None => None,
    };
    let tcp = connect(address, budget).await?;
    tcp.set_nodelay(true).map_err(Cause::from)?;
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(tcp),
        Some(config) => Box::new(handshake(address, config, tcp).await?),
    };
    let (address, anonymous) = (address.clone(), login.is_none());
    let mut connection = Connection::over(stream, address, deadlines, budget.clone(), anonymous);
    connection.negotiate().await?;
    if let Some(login) = login {
        connection.log_in(login).await?;
    }
    connection.greeted();
    Ok(connection)
}
