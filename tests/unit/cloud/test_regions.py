from __future__ import annotations

import pytest

from watcher.cloud.regions import REGIONS, iam_endpoint, service_endpoint
from watcher.core.errors import ConfigurationError


def test_regions_of_both_generations_are_known() -> None:
    assert service_endpoint("cn-north-4", {}) == "https://appstream.cn-north-4.myhuaweicloud.com"
    assert service_endpoint("ap-southeast-3", {}) == "https://workspace.ap-southeast-3.myhuaweicloud.com"
    assert iam_endpoint("ap-southeast-3", {}) == "https://iam.ap-southeast-3.myhuaweicloud.com"
    assert len(REGIONS) == 18


def test_the_environment_overrides_a_region_and_gives_an_unknown_one() -> None:
    environment = {
        "HUAWEICLOUD_SDK_REGION_WORKSPACEAPP_CN_NORTH_4": "https://one.example, https://two.example",
        "HUAWEICLOUD_SDK_REGION_WORKSPACEAPP_MY_OWN_1": "https://own.example",
        "HUAWEICLOUD_SDK_IAM_ENDPOINT": "https://iam.example",
    }
    assert service_endpoint("cn-north-4", environment) == "https://one.example"
    assert service_endpoint("my-own-1", environment) == "https://own.example"
    assert iam_endpoint("my-own-1", environment) == "https://iam.example"


@pytest.mark.parametrize("endpoint_of", [service_endpoint, iam_endpoint])
def test_an_unknown_region_names_the_known_ones_and_the_closest(endpoint_of: object) -> None:
    assert callable(endpoint_of)
    with pytest.raises(ConfigurationError, match="did you mean 'ap-southeast-3'") as caught:
        endpoint_of("ap-southeast3", {})
    for region in REGIONS:
        assert region in str(caught.value)


def test_no_region_says_what_to_give_instead() -> None:
    with pytest.raises(ConfigurationError, match="no region is given") as caught:
        iam_endpoint("", {})
    assert "iam_endpoint" in str(caught.value)
    assert "HUAWEICLOUD_SDK_IAM_ENDPOINT" in str(caught.value)
