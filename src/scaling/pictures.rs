//! A group in the pictures of all clusters.

use std::{collections::BTreeMap, sync::Arc};

use crate::poll::{ClusterKey, GroupPicture, Picture};

/// What a credential knows of a group.
pub(crate) fn known<'a>(
    pictures: &'a BTreeMap<ClusterKey, Arc<Picture>>,
    cluster: &ClusterKey,
    group: &str,
) -> Option<&'a Arc<GroupPicture>> {
    pictures.get(cluster)?.groups.get(group)
}
