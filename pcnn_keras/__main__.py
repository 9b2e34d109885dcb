"""`python -m pcnn_keras COMMAND`: see `commands.pcnn`."""

from pcnn_keras.commands.pcnn import main

if __name__ == "__main__":
    main("python -m pcnn_keras")
