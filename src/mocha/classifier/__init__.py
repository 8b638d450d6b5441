"""Classifying photos with a trained net: how images are prepared, what the classes are called, what the net thinks."""

from mocha.classifier.answers import Answers, Guess, Guesses
from mocha.classifier.classifier import ImageClassifier
from mocha.classifier.description import Description, load_classifier, read_description
from mocha.classifier.preparation import Preparation, read_mean
from mocha.data.names import read_names

__all__ = ["Answers", "Description", "Guess", "Guesses", "ImageClassifier", "Preparation", "load_classifier",
           "read_description", "read_mean", "read_names"]  # fmt: skip
