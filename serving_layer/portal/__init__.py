"""The portal: pages for creators, for those who decide about money, and for those who keep the pipeline running."""
