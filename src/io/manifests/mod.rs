//! stub
use std::path::Path;
/// stub
pub struct ManifestFolder;
/// stub
pub struct Reading {
    /// c
    pub changes: Vec<crate::model::Change>,
    /// p
    pub problems: Vec<String>,
}
impl ManifestFolder {
    /// o
    pub fn open(_d: &Path) -> anyhow::Result<Self> {
        Ok(Self)
    }
    /// r
    pub fn reread(&mut self) -> Reading {
        Reading { changes: vec![], problems: vec![] }
    }
    /// c
    pub async fn changed(&mut self) {
        std::future::pending().await
    }
}
