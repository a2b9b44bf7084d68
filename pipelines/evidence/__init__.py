"""Evidence on a trained candidate: what it is judged by beyond its plain figures.

    finding.py   what one kind of evidence came to: sentences, figures, tables, pictures
    subject.py   the candidate, and the images it is judged on
    gather.py    every kind of evidence, one after another
    heat.py, pointing.py, perturbation.py, randomisation.py, sample.py, attention_pictures.py
                 what attention.py is made of

Each other file is one kind of evidence: a function that takes a `Subject` and returns a `Finding`.
The evaluation report, the model card and the gate read findings and know nothing of how they were
made.
"""
