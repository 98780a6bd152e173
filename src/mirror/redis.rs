//! Redis, by its well-kept client: Django's backend has a pickle there, without anything before it.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisError, RedisResult, Value,
};

use super::cache::Trouble;
use super::table::Write;

/// A connection.
pub(super) struct Redis(MultiplexedConnection);

impl Redis {
    pub(super) async fn connect(
        url: &str,
        password: Option<&str>,
        time: Duration,
    ) -> Result<Self, RedisError> {
        let mut about = url.into_connection_info()?;
        if let Some(password) = password {
            let redis = about.redis_settings().clone().set_password(password);
            about = about.set_redis_settings(redis);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(time))
            .set_response_timeout(Some(time));
        let client = Client::open(about)?;
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        Ok(Self(connection.await?))
    }

    /// Writes all in one go; says of each whether it was taken.
    pub(super) async fn write(
        &mut self,
        writes: &[Write],
        ttl: Duration,
    ) -> Result<Vec<bool>, Trouble> {
        let mut pipe = redis::pipe();
        // One that is full takes no values, yet lets keys go.
        pipe.ignore_errors();
        for write in writes {
            match &write.value {
                Some(value) => {
                    let seconds = ttl.as_secs().max(1);
                    pipe.set_ex(&write.key, &value[..], seconds);
                }
                None => {
                    pipe.del(&write.key);
                }
            }
        }
        let replies: Vec<RedisResult<Value>> = pipe.query_async(&mut self.0).await?;
        Ok(replies.iter().map(Result::is_ok).collect())
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}
