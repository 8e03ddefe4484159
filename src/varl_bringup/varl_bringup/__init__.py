"""The graph of VARL: which nodes, with which parameters; launch files and a runner that bring it up."""
