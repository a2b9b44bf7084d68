"""Pages for people: what stands on them, and how they are drawn.

document.py   a page: sections of paragraphs, lists, tables and pictures
html.py       as one HTML file with everything inside
markdown.py   as Markdown, for terminals and for MLflow's pages
"""
