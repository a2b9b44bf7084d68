"""The model card of a version: what it is, for whom, how good, and what is not known.

Its headings follow CLAIM (Mongan, Moy and Kahn 2020; update 2024) and TRIPOD+AI (Collins et al.
2024); the idea is that of Mitchell et al. 2019. All of it is drawn from what the loop has recorded
and from the spec's block ``card``; what neither knows, the card calls not known.

    known.py      everything a card is drawn from, gathered
    methods.py    how data, model and evaluation were made
    results.py    what came out
    page.py       the whole card, and its short form
    publish.py    where cards are kept
    beside.py     a copy beside the bundle, for the service
"""
