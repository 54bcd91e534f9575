"""The fetal monitoring hub at the core perinatal centre: acquisition, analysis, alerts, store and web."""
