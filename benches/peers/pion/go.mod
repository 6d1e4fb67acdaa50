module strongroom.example/bench/pion

go 1.19
