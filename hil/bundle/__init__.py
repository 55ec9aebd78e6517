"""Bundles: what is provisioned beside the firmware for one case (docs/bundle-format.md)."""

from hil.bundle.format import Bundle, BundleError, build_bundle, parse_bundle, sha256
from hil.bundle.status import BUNDLE_STATUS, describe

__all__ = ["BUNDLE_STATUS", "Bundle", "BundleError", "build_bundle", "describe", "parse_bundle", "sha256"]
