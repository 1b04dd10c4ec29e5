"""watcher: tells people and machines the moment an image instance on Huawei Cloud Workspace changes."""

__version__ = "0.1.0"
