//! `dumbwaiter ticket`: what the app would sign, for trying it out, and for scripts.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::handlers::TypePattern;
use crate::rights::{Lets, Ticket};
use crate::server::assemble::APP_KEY;
use crate::server::units::{size, time_above_zero};
use crate::signed::{Audience, Keys};
use crate::upload::UploadId;

/// What `ticket` takes.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
#[command(
    after_help = "The ticket goes to standard output. It is a secret: whoever has it may do what it says. The key may stand \
        in DUMBWAITER_APP_KEY too."
)]
pub struct TicketArgs {
    /// File with the key that the server was given by --app-key-file
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// How long it holds
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = time_above_zero)]
    pub lasts: Duration,

    /// What it lets do
    #[arg(long, value_enum, default_value = "upload")]
    pub act: Act,

    /// To whom the upload belongs
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,

    /// Most bytes in the upload's files
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,

    /// What its files are called
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Types of file taken
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub types: Vec<TypePattern>,

    /// Field that the upload has besides
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field)]
    pub fields: Vec<(String, String)>,

    /// Id of an upload that has begun, with which its holder may go on
    #[arg(long, value_name = "ID")]
    pub upload: Option<UploadId>,

    /// Watch name of the upload that may be watched
    #[arg(long, value_name = "NAME")]
    pub watch: Option<String>,

    /// Its progress id, by which it may be watched
    #[arg(long, value_name = "ID")]
    pub progress_id: Option<String>,
}

/// What a ticket lets do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Act {
    /// One upload, from its begin to its end
    Upload,
    /// A look at one
    Watch,
}

impl TicketArgs {
    /// The signed ticket, and the end of its line.
    pub(super) fn sign(&self) -> anyhow::Result<String> {
        let names_one = self.watch.is_some() || self.progress_id.is_some();
        anyhow::ensure!(
            self.act == Act::Upload || names_one,
            "a ticket to watch names the upload: --watch NAME or --progress-id ID"
        );
        let ticket = Ticket {
            act: match self.act {
                Act::Upload => Lets::Upload,
                Act::Watch => Lets::Watch,
            },
            upload: self.upload,
            watch: self.watch.clone(),
            progress_id: self.progress_id.clone(),
            owner: self.owner.clone(),
            max_size: self.max_size,
            name: self.name.clone(),
            types: self.types.iter().map(|of| of.as_str().to_owned()).collect(),
            fields: self.fields.iter().cloned().collect(),
        };
        let text = self.keys()?.sign(Audience::Ticket, self.lasts, &ticket)?;
        Ok(format!("{text}\n"))
    }

    fn keys(&self) -> anyhow::Result<Keys> {
        match (&self.key_file, std::env::var(APP_KEY)) {
            (Some(path), _) => Keys::open(path).with_context(|| path.display().to_string()),
            (None, Ok(key)) => Keys::parse(&key).context(APP_KEY),
            (None, Err(_)) => {
                anyhow::bail!("the app's key is needed: --key-file FILE, or {APP_KEY}")
            }
        }
    }
}

fn field(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text
        .split_once('=')
        .ok_or("a field is written NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
