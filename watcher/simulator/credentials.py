"""Who may call the simulated cloud: one account with fixed, plausible and worthless credentials."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """All that a client needs to know. The values need no quoting in YAML, in a shell or in a URL.

    `project_id` is a hexadecimal number of 32 digits; `domain` is the account's name; `pod_token` is what the CCE pod
    endpoint expects in its Authorization header.
    """

    region: str = "ap-southeast-3"
    project_id: str = "0f5181caba0024e72f89c0045e707b91"
    domain_id: str = "0ea1b2c3d40026a51f4ac0043d2f8e60"
    access_key: str = "SIMAKQ7XW2LEPV4TJ9ZC"
    secret_key: str = "simskR8pYt3vNc6HbKd1FqZw5LmXs9GjTuEo2AiB"  # noqa: S105 - opens nothing but the simulator
    user: str = "simulator"
    password: str = "simulated-password"  # noqa: S105 - opens nothing but the simulator
    domain: str = "simulated-company"
    pod_token: str = "simulated-pod-token"  # noqa: S105 - opens nothing but the simulator
