"""Which endpoints serve a region.

Source: the regions of huaweicloudsdkworkspaceapp 3.1.219 and the vendor's "Regions and Endpoints".
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from watcher.core.errors import ConfigurationError

IAM_ENDPOINT_VARIABLE = "HUAWEICLOUD_SDK_IAM_ENDPOINT"

_APPSTREAM = ("cn-north-4", "cn-north-9", "cn-east-3", "cn-south-1", "cn-southwest-2")
_WORKSPACE = (
    *("af-north-1", "af-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "cn-east-5", "cn-north-11"),
    *("la-north-2", "la-south-2", "me-east-1", "na-mexico-1", "sa-brazil-1", "tr-west-1"),
)
REGIONS: Mapping[str, str] = {
    **{region: f"https://appstream.{region}.myhuaweicloud.com" for region in _APPSTREAM},
    **{region: f"https://workspace.{region}.myhuaweicloud.com" for region in _WORKSPACE},
}
"""The service's endpoint in every region the vendor's SDK knows."""


def endpoint_variable(region: str) -> str:
    """The environment variable in which the vendor's SDK takes an endpoint for a region."""
    return f"HUAWEICLOUD_SDK_REGION_WORKSPACEAPP_{region.replace('-', '_').upper()}"


def service_endpoint(region: str, environment: Mapping[str, str]) -> str:
    """The service's base URL: from the environment, else by region; ConfigurationError for an unknown region."""
    given = (
        environment.get(endpoint_variable(region), "").split(",")[0].strip()
    )  # the SDK allows a list: take the first
    if given:
        return given
    if region in REGIONS:
        return REGIONS[region]
    raise _unknown(region, f"endpoint, or the environment variable {endpoint_variable(region)}")


def iam_endpoint(region: str, environment: Mapping[str, str]) -> str:
    """IAM's base URL: from the environment, else by region; ConfigurationError for an unknown region."""
    given = environment.get(IAM_ENDPOINT_VARIABLE, "").strip()
    if given:
        return given
    if region in REGIONS:
        return f"https://iam.{region}.myhuaweicloud.com"
    raise _unknown(region, f"iam_endpoint, or the environment variable {IAM_ENDPOINT_VARIABLE}")


def console_url(region: str) -> str | None:
    """The cloud console's Workspace in a region; None where the region is not known.

    What page of it shows one instance is documented nowhere.
    """
    if region not in REGIONS:
        return None
    host = "console.huaweicloud.com" if region.startswith("cn-") else "console-intl.huaweicloud.com"
    return f"https://{host}/workspace/?region={region}"


def _unknown(region: str, instead: str) -> ConfigurationError:
    close = difflib.get_close_matches(region, REGIONS, n=1)
    hint = f", did you mean {close[0]!r}?" if close else ";"
    what = f"unknown region {region!r}{hint}" if region else "no region is given;"
    return ConfigurationError(f"{what} known are {', '.join(sorted(REGIONS))}; for another one give {instead}")
