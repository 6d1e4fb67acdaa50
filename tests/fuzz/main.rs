//! Every parser that an outsider reaches, driven with damaged input from seeds.
