//! Downloads.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Agent;

use crate::{DataError, Remote};

/// Downloads a file into a folder, which it makes if need be: the file's path.
///
/// Takes the first address that answers with the right bytes, over HTTPS, through at most five redirects. Gives an
/// address up after 30 seconds of silence. `progress` hears the bytes done and their total. The file appears under its
/// name only after its length and SHA-256 have been verified; a download that broke off begins anew.
///
/// # Errors
/// [`DataError::Download`] says what went wrong with each address, and how to do it by hand.
pub fn fetch(remote: &Remote, into: &Path, progress: &dyn Fn(u64, u64)) -> Result<PathBuf, DataError> {
    fetch_with(&agent(true, Duration::from_secs(30)), remote, into, progress)
}

fn agent(https_only: bool, patience: Duration) -> Agent {
    let config = Agent::config_builder()
        .https_only(https_only)
        .max_redirects(5)
        .timeout_resolve(Some(patience))
        .timeout_connect(Some(patience))
        .timeout_recv_response(Some(patience))
        .timeout_per_read(Some(patience));
    // Plain HTTP is for the tests' own server, which no proxy reaches.
    let config = if https_only { config } else { config.proxy(None) };
    config.build().new_agent()
}

fn fetch_with(agent: &Agent, remote: &Remote, into: &Path, progress: &dyn Fn(u64, u64)) -> Result<PathBuf, DataError> {
    let failed = |problem| DataError::Download {
        name: remote.name.clone(),
        problem,
        url: remote.urls.first().cloned().unwrap_or_default(),
        into: into.into(),
    };
    if Path::new(&remote.name).file_name() != Some(remote.name.as_ref()) {
        return Err(failed("its name is not that of a file; leave out folders".into()));
    }
    let mut problems = Vec::new();
    for url in &remote.urls {
        match attempt(agent, url, remote, into, progress) {
            Ok(path) => return Ok(path),
            Err(problem) => problems.push(format!("{url}: {problem}")),
        }
    }
    Err(failed(if problems.is_empty() { "it has no address".into() } else { problems.join("; ") }))
}

fn attempt(
    agent: &Agent,
    url: &str,
    remote: &Remote,
    into: &Path,
    progress: &dyn Fn(u64, u64),
) -> Result<PathBuf, String> {
    let total = remote.bytes;
    let wrong_length = |len: &dyn std::fmt::Display| format!("sends {len} bytes instead of {total}");
    let cannot_write = |e: std::io::Error| format!("cannot write ({e})");
    let body = agent.get(url).call().map_err(|e| e.to_string())?.into_body();
    if let Some(len) = body.content_length().filter(|&len| len != total) {
        return Err(wrong_length(&len));
    }
    fs::create_dir_all(into).map_err(cannot_write)?;
    // Unlike tempfile's own, a file made so can be read by the users that the umask lets read it.
    let mut file =
        tempfile::Builder::new().prefix(".part-").make_in(into, |p| File::create_new(p)).map_err(cannot_write)?;
    let mut body = body.into_reader().take(total.saturating_add(1));
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut done = 0;
    loop {
        let len = body.read(&mut buffer).map_err(|e| format!("breaks off after {done} of {total} bytes ({e})"))?;
        if len == 0 {
            break;
        }
        done += len as u64;
        if done > total {
            return Err(wrong_length(&"more"));
        }
        hash.update(&buffer[..len]);
        file.write_all(&buffer[..len]).map_err(cannot_write)?;
        progress(done, total);
    }
    if done != total {
        return Err(wrong_length(&done));
    }
    let sha256 = format!("{:x}", hash.finalize());
    if !sha256.eq_ignore_ascii_case(&remote.sha256) {
        return Err(format!("sends bytes with SHA-256 {sha256} instead of {}", remote.sha256));
    }
    let path = into.join(&remote.name);
    file.as_file().sync_all().map_err(cannot_write)?;
    file.persist(&path).map_err(|e| cannot_write(e.error))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::{BufRead, BufReader};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;
    const CONTENT: &[u8] = b"ten bytes!";

    /// What the server says for a path; `None` is silence.
    fn answer(path: &str) -> Option<Vec<u8>> {
        let whole = |status: &str, header: &str, body: &[u8]| {
            Some([format!("HTTP/1.1 {status}\r\n{header}connection: close\r\n\r\n").as_bytes(), body].concat())
        };
        match path {
            "/right" => whole("200 OK", "content-length: 10\r\n", CONTENT),
            "/unsaid" => whole("200 OK", "", CONTENT),
            "/other" => whole("200 OK", "content-length: 10\r\n", b"ten others"),
            "/short" => whole("200 OK", "content-length: 9\r\n", &CONTENT[..9]),
            "/short-unsaid" => whole("200 OK", "", &CONTENT[..9]),
            "/torn" => whole("200 OK", "content-length: 10\r\n", &CONTENT[..9]),
            "/long-unsaid" => whole("200 OK", "", b"eleven byte"),
            "/moved" => whole("302 Found", "location: /right\r\ncontent-length: 0\r\n", b""),
            "/circle" => whole("302 Found", "location: /circle\r\ncontent-length: 0\r\n", b""),
            "/silent" => None,
            _ => whole("404 Not Found", "content-length: 4\r\n", b"none"),
        }
    }

    fn reply(stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(&stream);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut line = first.clone();
        while line.trim_end() != "" {
            line.clear();
            reader.read_line(&mut line)?;
        }
        match answer(first.split(' ').nth(1).unwrap_or_default()) {
            Some(bytes) => (&stream).write_all(&bytes),
            None => reader.read_line(&mut line).map(drop),
        }
    }

    /// A server that lives as long as the tests do: its address.
    fn serve() -> std::io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || reply(stream));
            }
        });
        Ok(address)
    }

    fn remote(urls: &[String]) -> Remote {
        let sha256 = format!("{:x}", Sha256::digest(CONTENT));
        Remote { name: "file.bin".into(), urls: urls.to_vec(), sha256, bytes: 10 }
    }

    #[test]
    fn right_bytes_arrive() -> Outcome {
        let server = serve()?;
        let agent = agent(false, Duration::from_secs(10));
        let dead = format!("http://{}/", TcpListener::bind("127.0.0.1:0")?.local_addr()?);
        for paths in [vec!["/right"], vec!["/unsaid"], vec!["/moved"], vec!["/nothing", "/other", "/right"]] {
            let directory = tempfile::tempdir()?;
            let folder = directory.path().join("a/b");
            let urls: Vec<String> =
                std::iter::once(dead.clone()).chain(paths.iter().map(|path| format!("{server}{path}"))).collect();
            let heard = RefCell::new(Vec::new());
            let path = fetch_with(&agent, &remote(&urls), &folder, &|done, of| heard.borrow_mut().push((done, of)))?;
            assert_eq!(path, folder.join("file.bin"));
            assert_eq!(fs::read(path)?, CONTENT);
            assert_eq!(heard.borrow().last(), Some(&(10, 10)), "{paths:?}");
            assert_eq!(fs::read_dir(&folder)?.count(), 1);
        }
        Ok(())
    }

    #[test]
    fn wrong_bytes_leave_nothing_and_say_what_to_do() -> Outcome {
        let server = serve()?;
        let directory = tempfile::tempdir()?;
        let dead = format!("http://{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?);
        for (path, message) in [
            ("/other", "instead of 0425074d"),
            ("/short", "sends 9 bytes instead of 10"),
            ("/short-unsaid", "sends 9 bytes instead of 10"),
            ("/torn", "breaks off after 9 of 10 bytes"),
            ("/long-unsaid", "sends more bytes instead of 10"),
            ("/nothing", "404"),
            ("/circle", "redirect"),
            ("/silent", "timeout"),
            ("/dead", "refused"),
        ] {
            let url = format!("{}{path}", if path == "/dead" { &dead } else { &server });
            let agent = agent(false, Duration::from_millis(if path == "/silent" { 200 } else { 10_000 }));
            let error = fetch_with(&agent, &remote(std::slice::from_ref(&url)), directory.path(), &|_, _| ());
            let text = error.err().map(|e| e.to_string()).unwrap_or_default();
            assert!(text.contains(message), "{path}: {text}");
            let by_hand = format!("Download {url} by hand into {}", directory.path().display());
            assert!(text.starts_with("cannot download file.bin: ") && text.contains(&by_hand), "{text}");
            assert_eq!(fs::read_dir(directory.path())?.count(), 0, "{path}");
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_is_refused() -> Outcome {
        let server = serve()?;
        let directory = tempfile::tempdir()?;
        let refused = |remote: &Remote| {
            fetch(remote, directory.path(), &|_, _| ()).err().map(|e| e.to_string()).unwrap_or_default()
        };
        let plain = remote(&[format!("{server}/right")]);
        assert!(refused(&plain).contains("https"), "{}", refused(&plain));
        assert!(refused(&remote(&[])).contains("no address"));
        for name in ["../file", "a/b", "..", ""] {
            let elsewhere = Remote { name: name.into(), ..plain.clone() };
            assert!(refused(&elsewhere).contains("leave out folders"), "{name}");
        }
        Ok(())
    }
}
