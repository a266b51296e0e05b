"""The portal: pages for creators, for people who decide about money, and for operators."""
