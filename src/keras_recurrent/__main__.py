"""`python -m keras_recurrent` is the command `keras-recurrent`."""

from keras_recurrent.cli import main

main()
