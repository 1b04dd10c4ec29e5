"""Values that the chart is rendered with: what it must take, and what it must refuse."""

from __future__ import annotations

from typing import Any

SECRETS = "/etc/watcher/secrets"
SOURCE = {
    "name": "prod",
    "region": "ap-southeast-3",
    "auth": {
        "method": "aksk",
        "access_key_file": f"{SECRETS}/access-key",
        "secret_key_file": f"{SECRETS}/secret-key",
    },
    "instances": ["697612196993040384", {"id": "0123", "labels": {"team": "vdi"}}],
}
KEYS = ("access-key", "secret-key")
CONFIG = {"sources": [SOURCE]}
EVERYTHING: dict[str, Any] = {
    "config": {
        "sources": [{"name": "here", "region": "ap-southeast-3", "auth": {"method": "metadata"}, "discover": [{}]}],
        "receivers": [{"name": "am", "type": "alertmanager", "url": "http://alertmanager.monitoring:9093"}],
        "routes": [{"match": {"severity": "critical"}, "receivers": ["am"]}],
        "maintenance": [{"name": "patching", "days": ["sat"], "start": "22:00"}],
        "store": {"retention": "30d"},
        "web": {"external_url": "https://watcher.example.com", "metrics_instance_limit": 2000000},
        "log": {"level": "debug"},
    },
    "secrets": {"web-token": "let-me-in"},
    "commonLabels": {"team": "vdi"},
    "image": {"repository": "registry.example.com/watcher", "digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": [{"name": "registry"}],
    "persistence": {"storageClass": "csi-disk", "annotations": {"everest.io/disk-volume-type": "SSD"}},
    "serviceAccount": {"annotations": {"a": "b"}},
    "service": {"port": 80, "annotations": {"a": "b"}},
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "annotations": {"a": "b"},
        "hosts": [
            {"host": "watcher.example.com", "paths": [{"path": "/", "pathType": "Prefix"}]},
            {"host": "w.example"},
        ],
        "tls": [{"secretName": "tls", "hosts": ["watcher.example.com"]}],
    },
    "networkPolicy": {
        "ingressFrom": [{"namespaceSelector": {}}],
        "extraEgress": [{"ports": [{"protocol": "TCP", "port": 3128}], "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}],
    },
    "serviceMonitor": {
        "enabled": True,
        "labels": {"release": "prometheus"},
        "interval": "30s",
        "scrapeTimeout": "10s",
        "relabelings": [{"targetLabel": "cluster", "replacement": "prod"}],
        "metricRelabelings": [{"action": "drop", "sourceLabels": ["__name__"], "regex": "python_.*"}],
    },
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Watcher"}},
    "podAnnotations": {"a": "b"},
    "podLabels": {"a": "b"},
    "extraEnvFrom": [{"secretRef": {"name": "more"}}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [
        {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    ],
    "priorityClassName": "high",
}
NOTHING = {
    "config": {
        "sources": [{"name": "prod", "region": "ap-southeast-3", "discover": [{}]}],
        "receivers": [],
        "web": {"auth": None},
    },
    **{part: {"enabled": False} for part in ("networkPolicy", "podDisruptionBudget", "serviceMonitor", "ingress")},
    **{part: {"enabled": False} for part in ("prometheusRule", "dashboards")},
    "serviceAccount": {"create": False, "name": "watcher"},
    "persistence": {"existingClaim": "old"},
}
VALUES: dict[str, dict[str, Any]] = {
    "defaults": {"config": CONFIG, "existingSecret": "watcher"},
    "sqlite": {
        "store": {"type": "sqlite"},
        "config": CONFIG,
        "secrets": {"web-token": "a", "access-key": "b", "secret-key": "c"},
        "serviceMonitor": {"enabled": True},
    },
    "postgres": {
        "store": {"type": "postgres"},
        "config": {**CONFIG, "cluster": {"lease_ttl": "10s"}, "store": {"retention": "30d"}},
        "existingSecret": "watcher",
        "serviceMonitor": {"enabled": True},
    },
    "two replicas": {
        "store": {"type": "postgres"},
        "config": CONFIG,
        "secrets": {"web-token": "a", "access-key": "b", "secret-key": "c", "store-url": "postgresql://w:d@db/w"},
        "replicas": 2,
    },
    "everything": EVERYTHING,
    "nothing": NOTHING,
    "tls": {
        "config": {
            **CONFIG,
            "web": {"tls": {"cert_file": "/etc/tls/tls.crt", "key_file": "/etc/tls/tls.key"}, "auth": None},
        },
        "existingSecret": "watcher",
        "serviceMonitor": {"enabled": True, "tlsConfig": {"serverName": "watcher"}},
        "extraVolumes": [{"name": "tls", "secret": {"secretName": "tls", "defaultMode": 0o440}}],
        "extraVolumeMounts": [{"name": "tls", "mountPath": "/etc/tls", "readOnly": True}],
    },
}
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "bare defaults": ({}, "config.sources: the watcher needs at least one source"),
    "typo": ({"replicaz": 2}, "additional properties 'replicaz' not allowed"),
    "typo within": ({"serviceMonitor": {"enable": True}}, "additional properties 'enable' not allowed"),
    "typo in config": ({"config": {**CONFIG, "recievers": []}}, "additional properties 'recievers' not allowed"),
    "store of its own": ({"config": {**CONFIG, "store": {"url": "sqlite:///a"}}}, "additional properties 'url'"),
    "port of its own": ({"config": {**CONFIG, "web": {"listen": ":80"}}}, "/config/web/listen"),
    "id as a number": ({"config": {"sources": [{"name": "a", "instances": [697612196993040384]}]}}, "want string"),
    "store": ({"store": {"type": "mysql"}}, "/store/type"),
    "several with SQLite": ({"config": CONFIG, "existingSecret": "watcher", "replicas": 2}, "/replicas"),
    "several with SQLite by name": (
        {"config": CONFIG, "existingSecret": "watcher", "store": {"type": "sqlite"}, "replicas": 3},
        "/replicas",
    ),
    "none with PostgreSQL": ({"config": CONFIG, "store": {"type": "postgres"}, "replicas": 0}, "/replicas"),
    "typo in cluster": (
        {"config": {**CONFIG, "cluster": {"lease": "5s"}}},
        "additional properties 'lease' not allowed",
    ),
    "no URL of PostgreSQL": (
        {"config": CONFIG, "store": {"type": "postgres"}, "secrets": {"web-token": "a", **dict.fromkeys(KEYS, "b")}},
        "give `secrets` with the key store-url",
    ),
    "blocked drains": ({"podDisruptionBudget": {"maxUnavailable": 0}}, "/podDisruptionBudget/maxUnavailable"),
    "shared volume": ({"persistence": {"accessMode": "ReadWriteMany"}}, "/persistence/accessMode"),
    "no secret": ({"config": CONFIG}, f"names the file {SECRETS}/access-key: give `secrets` with the key access-key"),
    "one secret missing": (
        {"config": CONFIG, "secrets": {"access-key": "a", "secret-key": "b"}},
        "give `secrets` with the key web-token",
    ),
    "two secrets": ({"config": CONFIG, "secrets": {"a": "b"}, "existingSecret": "c"}, "not both"),
}
